"""NAME_labels.ome.tif: the ids of objects as OME-TIFF, with the size of the pixels."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..formats import PageResult, Prepared, Source, id_type, is_large
from .objectfile import ObjectFile

_AXES = "ZYX"


class OmeTiff(ObjectFile):
    """Ids of 16 or 32 bits. Volumes have the axes that the network sees; pages of one size are slices."""

    title = "an OME-TIFF file"
    key = "labels_ome"
    suffix = ".ome.tif"
    volumes = True

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare one image, or one for each page if the pages differ in size or spacing."""
        import tifffile

        dtype = id_type(result.objects for result in results)
        images = [(result.objects.astype(dtype), result.place.spacing_mm) for result in results]
        if len(images) > 1 and len({(ids.shape, spacing) for ids, spacing in images}) == 1:
            images = [(np.stack([ids for ids, _ in images]), images[0][1])]

        maps = [ids for ids, _ in images]
        known = {"UUID": _uuid_of(maps)}

        def write(file: BinaryIO) -> None:
            with tifffile.TiffWriter(file, bigtiff=is_large(maps), ome=True) as writer:
                for ids, spacing in images:
                    facts = {**known, **_described(ids.ndim, spacing)}
                    writer.write(ids, photometric="minisblack", compression="zlib", metadata=facts)

        return Prepared(self.suffix, write)


def _uuid_of(maps: Sequence[NDArray[Any]]) -> str:
    """Return a UUID that depends on the ids only; that of tifffile holds the time and the address of the machine."""
    digest = hashlib.sha256()
    for ids in maps:
        digest.update(np.ascontiguousarray(ids).data)
    return f"urn:uuid:{uuid.UUID(bytes=digest.digest()[:16], version=4)}"


def _described(axes: int, spacing_mm: tuple[float, ...] | None) -> dict[str, Any]:
    """Return the axes and the size of the pixels in µm."""
    facts: dict[str, Any] = {"axes": _AXES[-axes:]}
    for axis, side in zip(reversed(facts["axes"]), reversed(spacing_mm or ()), strict=False):
        facts |= {f"PhysicalSize{axis}": side * 1e3, f"PhysicalSize{axis}Unit": "µm"}
    return facts
