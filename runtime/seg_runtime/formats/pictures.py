"""Read and write PNG, JPEG, BMP and TIFF files with Pillow, losslessly and without trusting the content of a file.

Arrays are `(H, W, C)` uint8, uint16 or float32, with the EXIF orientation applied and alpha as a channel.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from ..model import MAX_PIXELS, ClassInfo
from ..support import ImageError
from .arrays import from_pil, upright
from .format import NPY, Format, Output, Page, PageResult, ReadOptions, Source, Write

READABLE = "a PNG, JPEG, BMP, TIFF or DICOM image"
CLASSIC_TIFF = 4_000_000_000  # bytes; classic TIFF has 32-bit offsets
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes; the two letters BM alone would also match text files
_BITS_PER_SAMPLE = 258  # TIFF tag


class Pictures(Format):
    """2-D images with one page, and TIFF stacks."""

    title = "a picture"
    suffixes = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

    def recognises(self, head: bytes) -> bool:
        """Recognize the signature of each format."""
        bmp = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
        return bmp or head.startswith(_SIGNATURES)

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield `(H, W, C)` for each page, or all pages as `(D, H, W, C)` for a volume model."""
        with contextlib.closing(Pages(data, name, options.max_pixels, options.indices)) as pages:
            arrays = (pages[number] for number in range(len(pages)))
            for array in arrays if options.axes == 2 else [volume_of(arrays, name)]:
                yield Page(array, name)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the output for labels, a palette image, or for values, a float32 TIFF."""
        return {"labels": {"mask": MASK}, "values": {"values": VALUES}}.get(data, {})

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


def _prepare_masks(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    classes = results[0].contract.classes
    return prepare_pages([mask_image(plane, classes) for r in results for plane in planes_of(r.answer)])


def _prepare_tiff(values: Sequence[NDArray[Any]]) -> tuple[str, Write]:
    """Prepare float32 planes as the pages of one TIFF."""
    pages = [Image.fromarray(plane) for value in values for plane in planes_of(value)]
    large = sum(p.width * p.height * 4 for p in pages) > CLASSIC_TIFF
    return ".tif", lambda file: pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], big_tiff=large)


MASK = Output("mask", (".png", ".tif"), _prepare_masks)
VALUES = Output("values", (".tif",), lambda results, _: _prepare_tiff([r.answer for r in results]))
PROBABILITIES = Output(
    "probabilities_tiff", (".tif",), lambda results, _: _prepare_tiff([r.probabilities for r in results])
)


def mask_image(labels: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> Image.Image:
    """Return a palette image of labels `(H, W)`: pixel value = class index, palette = class colours."""
    picture = Image.fromarray(labels)
    picture.putpalette([v for c in classes for v in c.color])
    return picture


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


class Pages:
    """The pages of an image file. The reader is kept, so that each page is read in constant time.

    Pages are `(H, W, C)` uint8, uint16 or float32. Not thread-safe.

    Args:
        data: content of the file.
        name: name of the file, for errors.
        max_pixels: refuse a file with more px in all pages, before it is decompressed.
        indices: read the stored values of palette and 1-bit images, as needed for masks, instead of their colours.

    Raises:
        ImageError: the file has an unknown format, is truncated or too large, or its colour model is not grey, RGB or
            palette.
    """

    def __init__(self, data: bytes, name: str, max_pixels: int = MAX_PIXELS, indices: bool = False) -> None:
        """Find the pages, without decompressing them."""
        self._data, self._name, self._as_indices = data, name, indices
        with _damage_reported(name):
            self._image = _opened(data, name)
            self._count = int(getattr(self._image, "n_frames", 1)) if self._image.format == "TIFF" else 1
            _check_size(self._image, self._count, name, max_pixels)

    def __len__(self) -> int:
        """Return the number of pages."""
        return self._count

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Return a page `(H, W, C)`, counted from 0."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        with _damage_reported(self._name):
            _seek(self._image, number)
            if self._as_indices and _stores_indices(self._image):
                return _indices(self._image)
            title = self._name if self._count == 1 else f"{self._name} page {number + 1}"
            return _page(self._image, self._data, number, title)

    def close(self) -> None:
        """Free the content of the file."""
        self._image.close()


@contextlib.contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise many classes, including struct.error
        raise ImageError(f"{name} is damaged ({error})", READABLE, "copy or export it again") from error


_PILLOW = threading.Lock()  # Pillow's size limit is a module variable


@contextlib.contextmanager
def _own_limit() -> Iterator[None]:
    """Disable Pillow's own size limit while it parses headers, since `max_pixels` is checked instead."""
    with _PILLOW:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    try:
        with _own_limit():
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a readable image", READABLE, "convert it") from error
    assert isinstance(picture, ImageFile.ImageFile)  # the type that Image.open returns
    return picture


def _seek(image: ImageFile.ImageFile, page: int) -> None:
    with _own_limit():
        image.seek(page)


def _check_size(image: ImageFile.ImageFile, frames: int, name: str, max_pixels: int) -> None:
    pixels = 0
    for page in range(frames):
        _seek(image, page)
        pixels += image.width * image.height
        if pixels > max_pixels:
            more = " or more" if page + 1 < frames else ""
            raise ImageError(
                f"{name} has {pixels} px{more}",
                f"at most {max_pixels}",
                "crop it, or raise the limit (seg-run --max-pixels)",
            )


_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow scales 2-bit and 4-bit grey to 0..255


def _stores_indices(image: ImageFile.ImageFile) -> bool:
    return image.mode in ("1", "P", "PA") or (bool(image.tile) and _rawmode(image.tile[0]) in _SPREAD)


def _indices(image: ImageFile.ImageFile) -> NDArray[Any]:
    raw = _rawmode(image.tile[0]) if image.tile else ""
    plane = upright(image)
    if raw in _SPREAD:
        return np.asarray(plane)[..., None] // np.uint8(_SPREAD[raw])
    return np.asarray(plane.getchannel(0) if plane.mode == "PA" else plane).astype(np.uint8)[..., None]


def _page(image: ImageFile.ImageFile, data: bytes, page: int, name: str) -> NDArray[Any]:
    low = _low_byte_mode(image, name)
    if low is None:
        return from_pil(image, name)
    if "transparency" in image.info:
        raise ImageError(f"{name} has a transparent colour with 16 bits", "an opaque image", "flatten it")
    # Pillow keeps only the high byte of 16-bit colour. Decoding with the other byte order gives the low byte.
    high_bytes = np.asarray(upright(image), np.uint16)
    with _opened(data, name) as again:
        _seek(again, page)
        tiles = [_with_rawmode(tile, low) for tile in again.tile]
        again.tile = tiles
        low_bytes = np.asarray(upright(again), np.uint16)
    return high_bytes << 8 | low_bytes


def _rawmode(tile: Any) -> str:
    return tile.args if isinstance(tile.args, str) else str(tile.args[0])


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    return tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:]))


def _low_byte_mode(image: ImageFile.ImageFile, name: str) -> str | None:
    """Return Pillow's raw mode that reads the low bytes of a 16-bit colour page; None if Pillow keeps all bits
    anyway."""
    raw = _rawmode(image.tile[0]) if image.tile else ""
    base, _, order = raw.partition(";16")
    if base in ("RGB", "RGBA", "RGBX") and order in ("B", "L", "N"):
        native_is_little = np.little_endian
        big = order == "B" or (order == "N" and not native_is_little)
        return f"{base};16{'L' if big else 'B'}"
    bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))) if hasattr(image, "tag_v2") else 8
    if base != "BGR" and (";16" in raw or bits > 8) and image.mode in ("LA", "RGB", "RGBA", "La", "RGBa", "CMYK", "L"):
        raise ImageError(
            f"{name} is {image.mode} with 16 bits ({raw or bits})",
            "16-bit grey, RGB or RGBA",
            "convert it, or save it with 8 bits",
        )
    return None
