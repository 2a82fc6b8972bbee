"""Measures of objects, and files of objects that other programs open."""

from ..formats import Output, Source
from ..model import Contract
from ..support import OptionsError, Registry, instance_of, require_extra
from .coco import Coco
from .geojson import GeoJson
from .labels import Labels
from .measure import measured as measured
from .measure import measurements_of as measurements_of
from .measure import summary_of as summary_of
from .objectfile import ObjectFile as ObjectFile
from .ome import OmeTiff
from .rois import Rois
from .table import MEASURES as MEASURES
from .table import csv_of as csv_of

OUTPUTS: Registry[ObjectFile] = Registry(
    "seg_edge.outputs",
    "output",
    {"labels": Labels(), "geojson": GeoJson(), "roi": Rois(), "coco": Coco(), "ome-tiff": OmeTiff()},
    instance_of(ObjectFile),
)


def object_file(name: str) -> ObjectFile:
    """Return a kind of file of objects by its name.

    Raises:
        OptionsError: the name is unknown.
        SegError: a package that provides or writes it is not installed.
    """
    found = OUTPUTS.get(name, error=OptionsError)
    require_extra("objects", "skimage", *found.packages)
    return found


def output_for(name: str, source: Source, contract: Contract) -> Output:
    """Return the file of objects with a name for a source; raises the errors of `ObjectFile.output`."""
    return object_file(name).output(name, source, contract)
