"""The format of pictures: what is read as one, and the results that are written beside it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...model import Acquisition
from ...support import ImageError, read_file
from ..format import NPY, Format, Output, Page, PageResult, Place, ReadOptions, Source, Write
from .pages import opened
from .tiff import SIGNATURES as TIFF_SIGNATURES

CLASSIC_TIFF = 4_000_000_000  # bytes; classic TIFF has 32-bit offsets
_JPEG2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
_SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", *_JPEG2000, *TIFF_SIGNATURES)
_NETPBM = re.compile(rb"P[1-6]\s(?:\s|#[^\n]*\n)*\d")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; the two letters BM alone would also match text files


class Pictures(Format):
    """2-D images with one page, and TIFF stacks."""

    title = "a picture"
    suffixes = (
        ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".jp2", ".j2k", ".pbm", ".pgm", ".ppm",
    )  # fmt: skip

    drawn = True  # since a mask of class indices looks black

    def recognises(self, head: bytes) -> bool:
        """Recognize the signature of each format."""
        bmp = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
        webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
        return bmp or webp or head.startswith(_SIGNATURES) or _NETPBM.match(head) is not None

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield `(H, W, C)` for each page, or all pages as `(D, H, W, C)` for a volume model."""
        with contextlib.closing(opened(data, name, options.max_pixels, options.indices)) as pages:
            arrays = (pages[number] for number in range(len(pages)))
            scale, axes = pages.scale, options.axes
            acquired = Acquisition(spacing_mm=scale.spacing_mm[-axes:], spacing_doubt=scale.doubt)
            place = Place.of(acquired, axes)
            for array in arrays if axes == 2 else [volume_of(arrays, name)]:
                yield Page(array, name, place, note=pages.note, acquisition=acquired)

    def acquisition(self, path: Path) -> Acquisition:
        """Return the size of the pixels."""
        with contextlib.closing(opened(read_file(path), str(path))) as pages:
            return Acquisition(spacing_mm=pages.scale.spacing_mm, spacing_doubt=pages.scale.doubt)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the outputs for labels, a grey or a palette image, for values, a float32 TIFF, or for objects, a TIFF of
        integers."""
        return {"labels": MASKS, "values": {"values": VALUES}, "objects": {"objects": OBJECTS}}.get(data, {})

    def probabilities(self) -> Mapping[str, Output]:
        """Return the outputs NPY and TIFF."""
        return {"npy": NPY, "tiff": PROBABILITIES}


def planes_of(values: NDArray[Any]) -> NDArray[Any]:
    """Reshape values `(…, H, W)` to planes `(P, H, W)`."""
    return values.reshape(-1, *values.shape[-2:])


def prepare_pages(pages: Sequence[Image.Image]) -> tuple[str, Write]:
    """Prepare one page as PNG, several as one TIFF (deflate)."""
    if len(pages) == 1:
        return ".png", lambda file: pages[0].save(file, "PNG")
    options: dict[str, Any] = {"save_all": True, "append_images": pages[1:], "compression": "tiff_adobe_deflate"}
    return ".tif", lambda file: pages[0].save(file, "TIFF", **options)


def _prepare_masks(results: Sequence[PageResult], source: Source, palette: bool = False) -> tuple[str, Write]:
    pages = [Image.fromarray(plane) for r in results for plane in planes_of(r.labels)]
    for page in pages if palette else ():
        page.putpalette([v for c in results[0].contract.classes for v in c.color])
    return prepare_pages(pages)


def _prepare_tiff(values: Sequence[NDArray[Any]]) -> tuple[str, Write]:
    """Prepare float32 planes as the pages of one TIFF."""
    pages = [Image.fromarray(plane) for value in values for plane in planes_of(value)]
    large = sum(p.width * p.height * 4 for p in pages) > CLASSIC_TIFF
    return ".tif", lambda file: pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], big_tiff=large)


def id_type(maps: Iterable[NDArray[Any]]) -> type[np.uint16 | np.uint32]:
    """Return the smallest type of TIFF files that holds all ids of these maps."""
    return np.uint16 if max(int(ids.max(initial=0)) for ids in maps) < 1 << 16 else np.uint32


def is_large(arrays: Sequence[NDArray[Any]]) -> bool:
    """Return whether arrays need a BigTIFF."""
    return sum(array.nbytes for array in arrays) > CLASSIC_TIFF


def _prepare_objects(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    """Prepare ids as the pages of one TIFF (deflate), with the size of the pixels if it is known."""
    import tifffile

    dtype = id_type(result.objects for result in results)
    pages = [(plane, _resolution(r.place)) for r in results for plane in planes_of(r.objects.astype(dtype))]

    def write(file: BinaryIO) -> None:
        with tifffile.TiffWriter(file, bigtiff=is_large([plane for plane, _ in pages])) as writer:
            for plane, resolution in pages:
                writer.write(
                    plane, compression="zlib", photometric="minisblack", contiguous=False, metadata=None, **resolution
                )

    return ".tif", write


def _resolution(place: Place) -> dict[str, Any]:
    """Return arguments of tifffile for the size of pixels: px per cm along x and y."""
    if place.spacing_mm is None:
        return {}
    down, across = place.spacing_mm[-2:]
    return {"resolution": (10 / across, 10 / down), "resolutionunit": "CENTIMETER"}


_SUFFIXES = (".png", ".tif")
MASKS = {
    "grey": Output("mask", _SUFFIXES, _prepare_masks),
    "palette": Output("mask_palette", _SUFFIXES, partial(_prepare_masks, palette=True)),
}
"""Masks whose pixel values are class indices. Most libraries return the colours of a palette picture, not its indices."""
VALUES = Output("values", (".tif",), lambda results, _: _prepare_tiff([r.answer for r in results]))
OBJECTS = Output("objects", (".tif",), _prepare_objects)
"""Ids of objects as 16-bit numbers, or as 32-bit ones if there are more."""
PROBABILITIES = Output(
    "probabilities_tiff", (".tif",), lambda results, _: _prepare_tiff([r.probabilities for r in results])
)


def volume_of(pages: Iterator[NDArray[Any]], name: str) -> NDArray[Any]:
    """Join the pages `(H, W, C)` of a stack to one volume `(D, H, W, C)`.

    Raises:
        ImageError: there is a single page, or the pages differ in size or type.
    """
    planes = list(pages)
    if len(planes) == 1:
        advice = "choose a NIfTI file or a TIFF with several pages"
        raise ImageError(f"{name} is a single image", "a volume, like the training data", advice)
    kinds = list(dict.fromkeys((p.shape, str(p.dtype)) for p in planes))
    if len(kinds) > 1:
        problem = f"{name} has pages of {kinds[0]} and of {kinds[1]}"
        raise ImageError(problem, "pages of one size and type for a volume", "export the stack again")
    return np.stack(planes)
