"""NAME_rois.zip: regions of interest of ImageJ, for its ROI Manager."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from ..formats import PageResult, Prepared, Source
from ..model import ClassInfo
from .objectfile import ObjectFile
from .outlines import Piece, Region, regions_of

_MOVE, _LINE, _CLOSE = 0, 1, 4  # commands of a path
_FARTHEST = 32767  # px; ImageJ stores corners of polygons as 16 bits
_TIME = (1980, 1, 1, 0, 0, 0)  # so that the same objects give the same bytes


class Rois(ObjectFile):
    """A traced region for each object, composite if it has holes or several pieces."""

    title = "a ROI set of ImageJ"
    key = "rois"
    suffix = ".zip"
    packages = ("roifile",)

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare a region for each object; its position is its page."""
        regions = list(_named(results))

        def write(file: BinaryIO) -> None:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                for name, content in regions:
                    packed.writestr(zipfile.ZipInfo(f"{name}.roi", _TIME), content, zipfile.ZIP_DEFLATED)

        return Prepared(self.suffix, write)


def _named(results: Sequence[PageResult]) -> Iterator[tuple[str, bytes]]:
    """Yield a name and the content of its file for each object."""
    for page, result in enumerate(results, 1):
        start = f"page {page:04} " if len(results) > 1 else ""
        for region in regions_of(result.objects):
            labels = result.labels[region.top :, region.left :][: len(region.mask), : region.mask.shape[1]]
            entry = result.contract.classes[int(labels[region.mask][0])]
            name = f"{start}{region.number:05} {_plain(entry.name)}"
            yield name, _roi(region, name, entry, page if len(results) > 1 else 0)


def _plain(name: str) -> str:
    """Return a name without what a file name or UCS-2 cannot hold."""
    return "".join(c if c.isprintable() and ord(c) < 1 << 16 and c not in '/\\:*?"<>|' else "_" for c in name)


def _roi(region: Region, name: str, entry: ClassInfo, page: int) -> bytes:
    from roifile import ROI_TYPE, ImagejRoi

    pieces = region.pieces()
    height, width = region.mask.shape
    roi = ImagejRoi(
        name=name, position=page, stroke_color=bytes((255, *entry.color)), left=region.left, top=region.top,
        right=region.left + width, bottom=region.top + height,
    )  # fmt: skip
    if len(pieces) == len(pieces[0]) == 1 and max(roi.right, roi.bottom) <= _FARTHEST:
        roi.roitype = ROI_TYPE.TRACED
        roi.integer_coordinates = (pieces[0][0] - (region.left, region.top)).astype(np.int32)
        roi.n_coordinates = len(roi.integer_coordinates)
    else:
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = _path(pieces)
        roi.shape_roi_size = len(roi.multi_coordinates)
    return bytes(roi.tobytes())


def _path(pieces: Sequence[Piece]) -> Any:
    """Return outlines and holes as the commands of one path."""
    commands: list[float] = []
    for ring in (ring for piece in pieces for ring in piece):
        for number, (x, y) in enumerate(ring.tolist()):
            commands += [_LINE if number else _MOVE, x, y]
        commands.append(_CLOSE)
    return np.array(commands, np.float32)
