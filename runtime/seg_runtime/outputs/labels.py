"""NAME_labels: the ids of objects, in the form that the format has for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..formats import Output, PageResult, Prepared, Source
from ..model import Contract
from ..support import ImageError
from .objectfile import ObjectFile


class Labels(ObjectFile):
    """A TIFF of 16 or 32 bits, or a NIfTI volume on the grid of its source."""

    title = "a map of ids"
    key = "labels"
    suffix = ".tif"
    volumes = True

    def output(self, name: str, source: Source, contract: Contract) -> Output:
        """Return the output of the format for ids, under another name."""
        forms = source.format.outputs("objects", source)
        if not forms:
            problem = f"{source.path} is {source.format.title}, a format that cannot hold objects"
            raise ImageError(problem, "a picture, a DICOM image or a NIfTI volume", f"leave out --save {name}")
        return replace(next(iter(forms.values())), key=self.key)

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare it as the format does."""
        [output] = source.format.outputs("objects", source).values()
        return Prepared(*output.prepare(results, source))
