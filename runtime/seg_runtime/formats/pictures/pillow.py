"""Read pictures with Pillow, losslessly and without trusting the content of a file."""

from __future__ import annotations

import contextlib
import io
import re
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from ...model import MAX_PIXELS
from ...support import INCH_MM, ImageError
from ..arrays import from_pil, upright, without_opaque_alpha
from ..quiet import quiet
from ..scale import Scale
from .libtiff import strict
from .scale import of_resolution, turned_scale

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
READABLE = "a PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000, Netpbm or DICOM image"
BYTES = 4  # of a pixel, to which the limit of pixels refers
_START_OF_SCAN = b"\xff\xda"
_MOST_SCANS = 100  # of a progressive JPEG, whose decoding time they multiply; cameras and programs write about 10
_GREY_ALPHA = "LA;16B"  # raw mode of 16-bit grey with alpha, which Pillow reads as 8-bit RGBA
_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow scales 2-bit and 4-bit grey to 0..255
_ORIENTATION = 274
_PILLOW = threading.Lock()  # Pillow's size limit is a module variable


class PillowPages:
    """The page of a file that Pillow reads, or the pages of a TIFF, see `Pages`."""

    note = ""

    def __init__(self, data: bytes, name: str, indices: bool, *formats: str, max_pixels: int = MAX_PIXELS) -> None:
        """Read the header.

        Raises:
            ImageError: the file has an unknown format, is truncated, too large or an animation.
        """
        self._data, self._name, self._indices, self._formats = data, name, indices, formats or FORMATS
        self._max_pixels = max_pixels
        with _damage_reported(name):
            self._image = self._opened()
        size = 8 if _low_byte_mode(self._image) else 4  # bytes of a pixel while Pillow decodes it
        check_size(name, self._image.width * self._image.height, size, max_pixels)
        with _damage_reported(name), self._limited():
            frames = int(getattr(self._image, "n_frames", 1))
        if frames > 1 and not formats:
            raise ImageError(f"{name} is an animation of {frames} frames", "one image", "save the frame that you need")
        self._count = frames
        if self._image.format == "JPEG" and (scans := data.count(_START_OF_SCAN)) > _MOST_SCANS:
            raise ImageError(f"{name} has {scans} scans", f"at most {_MOST_SCANS}", "save it again")

    def __len__(self) -> int:
        """Return the number of pages."""
        return self._count

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Return a page `(H, W, C)`, counted from 0."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        with _damage_reported(self._name):
            with self._limited():
                self._image.seek(number)
                if self._image.format == "TIFF":
                    self._image.load_prepare()  # checks the size once more
            if self._indices and _stores_indices(self._image):
                return _indices(self._image)
            return self._page(number)

    def close(self) -> None:
        """Free the content of the file."""
        self._image.close()

    @property
    def scale(self) -> Scale:
        """The size of a pixel, from the dots per inch in the header."""
        per_cm = self._image.info.get("jfif_unit") == 2
        try:
            x, y = (float(number) for number in self._image.info["jfif_density" if per_cm else "dpi"])
            orientation = int(self._image.getexif().get(_ORIENTATION, 1))
        except Exception:  # headers may hold anything, and none of it is needed to read the pixels
            return Scale()
        return turned_scale(of_resolution(x, y, 10.0 if per_cm else INCH_MM), orientation)

    def _opened(self) -> ImageFile.ImageFile:
        try:
            with self._limited():
                picture = Image.open(io.BytesIO(self._data), formats=self._formats)
        except UnidentifiedImageError as error:
            raise ImageError(f"{self._name} is not a readable image", READABLE, "convert it") from error
        assert isinstance(picture, ImageFile.ImageFile)  # the type that Image.open returns
        return picture

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """Let Pillow refuse sizes above `max_pixels` while it parses headers, since it makes room for a GIF's frame then."""
        with quiet(), _PILLOW:
            # above its limit, Pillow warns; above twice its limit, it refuses
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, self._max_pixels / 2  # type: ignore[assignment]
            try:
                yield
            except Image.DecompressionBombError as error:
                pixels = next(re.finditer(r"\d+", str(error)))
                check_size(self._name, int(pixels[0]), BYTES, self._max_pixels)
                raise
            finally:
                Image.MAX_IMAGE_PIXELS = before

    def _page(self, number: int) -> NDArray[Any]:
        image, name = self._image, self._name
        if image.tile and _rawmode(image.tile[0]) == _GREY_ALPHA:
            tiles = [_with_rawmode(tile, "RGBA") for tile in image.tile]  # the four bytes of a pixel
            image.tile = tiles
            return without_opaque_alpha(np.asarray(upright(image)).view(">u2").astype(np.uint16))
        if (low := _low_byte_mode(image)) is None:
            _check_depth(image, self._data, name)
            return from_pil(image, name)
        if "transparency" in image.info:
            raise ImageError(f"{name} has a transparent colour with 16 bits", "an opaque image", "flatten it")
        # Pillow keeps only the high byte of 16-bit colour. Decoding with the other byte order gives the low byte.
        values = np.asarray(upright(image)).astype(np.uint16)
        values <<= 8
        with self._opened() as again:
            tiles = [_with_rawmode(tile, low) for tile in again.tile]
            again.tile = tiles
            values |= np.asarray(upright(again))
        return without_opaque_alpha(values) if low.startswith("RGBA") else values


def check_size(name: str, pixels: int, size: float, max_pixels: int, more: bool = False) -> None:
    """Check the size of an image before it is decoded.

    Args:
        name: name of the file.
        pixels: number of px.
        size: bytes of a px in memory.
        max_pixels: largest number of px of 4 bytes.
        more: whether the file has further pages.

    Raises:
        ImageError: it is larger.
    """
    advice = "crop it, or raise the limit (seg-run --max-pixels)"
    if pixels > max_pixels:
        raise ImageError(f"{name} has {pixels} px{' or more' if more else ''}", f"at most {max_pixels}", advice)
    if pixels * size > max_pixels * BYTES:
        problem = f"{name} has {pixels} px of {size:g} bytes, {pixels * size / 1e9:.1f} GB"
        raise ImageError(problem, f"at most {max_pixels * BYTES / 1e9:.1f} GB", advice)


@contextlib.contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    try:
        with strict():
            yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many classes, including struct.error
        raise ImageError(f"{name} is damaged ({error})", READABLE, "copy or export it again") from error


def _stores_indices(image: ImageFile.ImageFile) -> bool:
    return image.mode in ("1", "P", "PA") or (bool(image.tile) and _rawmode(image.tile[0]) in _SPREAD)


def _indices(image: ImageFile.ImageFile) -> NDArray[Any]:
    raw = _rawmode(image.tile[0]) if image.tile else ""
    plane = upright(image)
    if raw in _SPREAD:
        return np.asarray(plane)[..., None] // np.uint8(_SPREAD[raw])
    return np.asarray(plane.getchannel(0) if plane.mode == "PA" else plane).astype(np.uint8)[..., None]


def _rawmode(tile: Any) -> str:
    return tile.args if isinstance(tile.args, str) else str(tile.args[0]) if tile.args else ""


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    return tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:]))


def _low_byte_mode(image: ImageFile.ImageFile) -> str | None:
    """Return Pillow's raw mode that reads the low bytes of a PNG of 16-bit colour; None for other images."""
    raw = _rawmode(image.tile[0]) if image.tile else ""
    base, _, order = raw.partition(";16")
    return f"{base};16{'L' if order == 'B' else 'B'}" if base in ("RGB", "RGBA") and order in ("B", "L") else None


def _check_depth(image: ImageFile.ImageFile, data: bytes, name: str) -> None:
    """Refuse images whose values Pillow would cut to 8 bits or scale.

    Raises:
        ImageError: the image has such values.
    """
    raw = _rawmode(image.tile[0]) if image.tile else ""
    bits = {8}
    if ";16" in raw and not raw.startswith("BGR"):
        bits = {16}
    elif image.format == "JPEG2000":
        bits = _depths_of_jpeg2000(data)
    elif image.format == "PPM" and image.tile and image.tile[0].codec_name.startswith("ppm") and image.mode != "1":
        arguments: Any = image.tile[0].args
        top = int(arguments[-1])  # the largest value in the file
        bits = {top.bit_length() if top & (top + 1) == 0 else top}
    if not bits <= ({16} if image.mode.startswith("I") else {8}):
        depth = " and ".join(str(n) for n in sorted(bits))
        problem = f"{name} is {image.mode} with {depth} bits"
        raise ImageError(problem, "8 bits, or 16 bits in grey, RGB or RGBA", "save it as PNG or TIFF")


def _depths_of_jpeg2000(data: bytes) -> set[int]:
    """Return the bits of each component, from the SIZ marker; negative for signed values (ISO 15444-1, A.5.1)."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 44:
        return set()
    count = int.from_bytes(data[start + 40 : start + 42], "big")
    sizes = data[start + 42 : start + 42 + 3 * count : 3]
    return {(-1 if size & 0x80 else 1) * ((size & 0x7F) + 1) for size in sizes}
