"""Image files <-> arrays, without losing a bit and without believing a file.

Arrays are `(H, W, C)`, uint8, uint16 or float32, upright (EXIF orientation applied), alpha as a channel.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from ..model.answer import ClassInfo
from ..model.contract import Contract
from ..model.limits import MAX_PIXELS
from ..pipeline.preprocess import Array
from ..support.errors import ImageError
from .dicom import SNIFFED, is_dicom

FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".dcm")
READABLE = "a PNG, JPEG, BMP, TIFF or DICOM image"
_BITS_PER_SAMPLE, _ORIENTATION = 258, 274  # TIFF and EXIF tags


def read_bytes(path: Path) -> bytes:
    """The content of an image file.

    Raises:
        ImageError: missing, a folder, unreadable or empty.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ImageError(f"{path} is no regular file", READABLE, "copy it into one")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist", READABLE, "check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder", READABLE, "name a file in it") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror})", READABLE, "check its permissions") from error
    if not data:
        raise ImageError(f"{path} is empty", "a file with something in it", "copy or export it again")
    return data


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS, indices: bool = False) -> Iterator[Array]:
    """Pages of an image file, one after the other: several for a TIFF stack or DICOM frames, else one.

    Args:
        data: the file's content.
        name: what errors call it.
        max_pixels: refuse a file with more px, all pages counted, before anything is unpacked.
        indices: give the stored values of palette and 1-bit pictures, as masks want, not their colours.

    Yields:
        `(H, W, C)` uint8, uint16 or float32.

    Raises:
        ImageError: not an image of a known format, truncated, too large, or of a colour model that has no plain
            reading as grey or RGB.
        SegError: a DICOM file, and the extra `dicom` is not installed.
    """
    if is_dicom(data[:SNIFFED]):
        from .dicom.read import decode_dicom  # pydicom is an extra

        yield from decode_dicom(data, name, max_pixels)
        return
    with contextlib.closing(Pages(data, name, max_pixels, indices)) as pages:
        yield from (pages[number] for number in range(len(pages)))


class Pages:
    """The pages of a picture file, each at the cost of one: its reader is kept, and knows where they begin.

    Arguments, arrays and errors are those of `decode`, DICOM excepted. Not for several threads at once.
    """

    def __init__(self, data: bytes, name: str, max_pixels: int = MAX_PIXELS, indices: bool = False) -> None:
        """Find the pages; none is unpacked yet."""
        self._data, self._name, self._as_indices = data, name, indices
        with _damage_told(name):
            self._image = _opened(data, name)
            self._count = int(getattr(self._image, "n_frames", 1)) if self._image.format == "TIFF" else 1
            _check_size(self._image, self._count, name, max_pixels)

    def __len__(self) -> int:
        """Count the pages."""
        return self._count

    def __getitem__(self, number: int) -> Array:
        """`(H, W, C)` of a page, counted from 0."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        with _damage_told(self._name):
            _seek(self._image, number)
            if self._as_indices and _stores_indices(self._image):
                return _indices(self._image)
            title = self._name if self._count == 1 else f"{self._name} page {number + 1}"
            return _page(self._image, self._data, number, title)

    def close(self) -> None:
        """Let the file's content go."""
        self._image.close()


@contextlib.contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders report damage by a dozen kinds, struct.error among them
        raise ImageError(f"{name} is damaged ({error})", READABLE, "copy or export it again") from error


def from_pil(image: Image.Image, name: str = "image") -> Array:
    """`(H, W, C)` of a PIL image, its EXIF orientation applied.

    Raises:
        ImageError: a colour model that has no plain reading as grey or RGB, or values that do not fit float32.
    """
    image = _upright(image)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    if "transparency" in image.info:  # one colour of a picture without alpha is meant to be see-through
        if image.mode not in ("L", "RGB"):
            raise ImageError(
                f"{name} has a transparent colour in mode {image.mode}", "an opaque image", "flatten it first"
            )
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "I", "F") and not image.mode.startswith("I;16"):
        raise ImageError(f"{name} has colour mode {image.mode}", "grey, RGB, RGBA or palette", "convert it to RGB")
    return from_array(np.asarray(image), name)


def from_array(array: Any, name: str = "array", axes: int = 2) -> Array:
    """`(H, W, C)` uint8, uint16 or float32 of an array `(H, W)` or `(H, W, C)`; with three `axes` a D before the H.

    Booleans become 0 and 255; signed integers and float64 become float32 with their values kept.

    Raises:
        ImageError: another rank, no pixels, another dtype, NaN or infinity, or integers beyond float32's 2**24.
    """
    wanted = "(H, W) or (H, W, C)" if axes == 2 else "(D, H, W) or (D, H, W, C)"
    try:
        values = np.asarray(array)
    except ValueError as error:
        raise ImageError(f"{name} is no array ({error})", wanted, "pass one image") from error
    if values.ndim == axes:
        values = values[..., None]
    if values.ndim != axes + 1 or values.shape[-1] > 64:
        raise ImageError(f"{name} has shape {np.shape(array)}", wanted, "pass one image, channels last")
    if values.size == 0:
        raise ImageError(f"{name} has no pixels (shape {values.shape})", "at least 1×1", "check where it comes from")
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind not in "if":
        raise ImageError(f"{name} has dtype {values.dtype}", "uint8, uint16 or float32", "convert it")
    if values.dtype.kind == "i" and max(int(values.max()), -int(values.min())) > 1 << 24:
        raise ImageError(f"{name} has integers beyond 2**24", "values that float32 holds exactly", "scale it down")
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32, copy=False)
    if not np.isfinite(floats).all():
        raise ImageError(
            f"{name} contains NaN, infinity or more than float32 holds", "finite values", "replace them before"
        )
    return floats


def _upright(image: Image.Image) -> Image.Image:
    """The picture as it is meant to be seen; not a copy where it already is."""
    return image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def fit_channels(image: Array, channels: int, name: str = "image") -> Array:
    """Bring `(*spatial, C)` to the channel count of the model where nothing is lost by it.

    An opaque alpha is dropped, grey becomes three equal channels, three equal channels become grey.

    Raises:
        ImageError: any other difference.
    """
    have = image.shape[-1]
    if have == channels:
        return image
    if have in (2, 4) and channels in (1, 3) and image.ndim == 3:  # of a volume they are scans, none is alpha
        if (image[..., -1] != _opaque(image.dtype)).any():
            raise ImageError(f"{name} has transparent pixels", "an opaque image", "flatten it on a background first")
        return fit_channels(image[..., :-1], channels, name)
    if have == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if have == 3 and channels == 1:
        if is_grey(image):
            return image[..., :1]
        raise ImageError(
            f"{name} is in colour (3 channels)",
            "1 grey channel as the model was trained",
            "convert it to grey as the training images were",
        )
    raise ImageError(f"{name} has {have} channels", f"{channels} as the model was trained", "pick or convert channels")


def fitted(image: Array, contract: Contract, name: str = "image") -> Array:
    """Bring `(*spatial, C)` to what the model was trained on, where nothing is lost by it.

    Raises:
        ImageError: other channels, or floats where the model knows integers (and the other way round), whose unit
            would be a guess.
    """
    kind = "integer" if image.dtype.kind == "u" else "float"
    if kind != contract.input.pixels and contract.input.intensity.method != "window":  # a window is in raw grey values
        wanted = "uint8 or uint16" if contract.input.pixels == "integer" else "floats"
        fix = "convert it to the scale of the training images"
        raise ImageError(f"{name} has {image.dtype} grey values", f"{wanted} as the model was trained", fix)
    if (
        contract.input.channel_files and image.shape[-1] != contract.input.channels
    ):  # grey for all of them would be a wrong answer
        wanted = (
            f"{contract.input.channels}: {', '.join(f'CASE{file.ending}' for file in contract.input.channel_files)}"
        )
        raise ImageError(f"{name} has {image.shape[-1]} channels", wanted, "pass one array of all, or use seg-run")
    return fit_channels(image, contract.input.channels, name)


def is_grey(image: Array) -> bool:
    """Whether the first three channels of `(*spatial, 3 or 4)` are the same everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


def has_opaque_alpha(image: Array) -> bool:
    """Whether a picture `(H, W, C)` has a last channel that is alpha and says nothing."""
    return image.ndim == 3 and image.shape[-1] in (2, 4) and bool((image[..., -1] == _opaque(image.dtype)).all())


def mask_image(labels: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> Image.Image:
    """Palette picture of `(H, W)` labels: pixel value = class index, palette = class colours."""
    picture = Image.fromarray(labels)
    picture.putpalette([v for c in classes for v in c.color])
    return picture


def write_pages(file: BinaryIO, pages: Sequence[Image.Image]) -> None:
    """Write one page as PNG, several as one TIFF (deflate)."""
    if len(pages) == 1:
        pages[0].save(file, "PNG")
    else:
        pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")


def _opaque(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


_PILLOW = threading.Lock()  # Pillow keeps its own size limit in a module variable


@contextlib.contextmanager
def _own_limit() -> Iterator[None]:
    """Let `max_pixels` alone judge sizes, while Pillow parses headers: it checks them against a limit of its own."""
    with _PILLOW:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _opened(data: bytes, name: str) -> ImageFile.ImageFile:
    try:
        with _own_limit():
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that can be read", READABLE, "convert it") from error
    assert isinstance(picture, ImageFile.ImageFile)  # what Image.open makes
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
                "crop it, or allow more (seg-run --max-pixels)",
            )


_SPREAD = {"L;2": 85, "L;4": 17}  # Pillow spreads grey of 2 and 4 bits over 0..255


def _stores_indices(image: ImageFile.ImageFile) -> bool:
    return image.mode in ("1", "P", "PA") or (bool(image.tile) and _rawmode(image.tile[0]) in _SPREAD)


def _indices(image: ImageFile.ImageFile) -> Array:
    raw = _rawmode(image.tile[0]) if image.tile else ""
    plane = _upright(image)
    if raw in _SPREAD:
        return np.asarray(plane)[..., None] // np.uint8(_SPREAD[raw])
    return np.asarray(plane.getchannel(0) if plane.mode == "PA" else plane).astype(np.uint8)[..., None]


def _page(image: ImageFile.ImageFile, data: bytes, page: int, name: str) -> Array:
    low = _low_byte_mode(image, name)
    if low is None:
        return from_pil(image, name)
    if "transparency" in image.info:
        raise ImageError(f"{name} has a transparent colour with 16 bits", "an opaque image", "flatten it first")
    # Pillow keeps only the high byte of 16-bit colour. Decoding the same stream in the other byte order gives the low one.
    high_bytes = np.asarray(_upright(image), np.uint16)
    with _opened(data, name) as again:
        _seek(again, page)
        tiles = [_with_rawmode(tile, low) for tile in again.tile]
        again.tile = tiles
        low_bytes = np.asarray(_upright(again), np.uint16)
    return high_bytes << 8 | low_bytes


def _rawmode(tile: Any) -> str:
    return tile.args if isinstance(tile.args, str) else str(tile.args[0])


def _with_rawmode(tile: Any, rawmode: str) -> Any:
    return tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *tile.args[1:]))


def _low_byte_mode(image: ImageFile.ImageFile, name: str) -> str | None:
    """Pillow's raw mode that reads the low bytes of a 16-bit colour page; None where Pillow keeps all bits anyway."""
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
            "16 bits as grey, RGB or RGBA",
            "convert it, or save 8 bits",
        )
    return None
