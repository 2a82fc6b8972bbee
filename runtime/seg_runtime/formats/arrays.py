"""Convert PIL images and arrays to the arrays that the runtime takes: `(*spatial, C)` uint8, uint16 or float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..pipeline import is_grey
from ..support import ImageError

_ORIENTATION = 274  # EXIF tag


def from_pil(image: Image.Image, name: str = "image") -> NDArray[Any]:
    """Convert a PIL image to `(H, W, C)`, with its EXIF orientation applied and without an opaque alpha channel.

    Raises:
        ImageError: the colour model is not grey, RGB or palette, or the values do not fit float32.
    """
    image = upright(image)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if image.mode == "RGB" and is_grey(np.asarray(image)):
            image = image.getchannel(0)
    elif image.mode == "1":
        image = image.convert("L")
    if "transparency" in image.info:  # one colour of an image without alpha is transparent
        if image.mode not in ("L", "RGB"):
            raise ImageError(f"{name} has a transparent colour in mode {image.mode}", "an opaque image", "flatten it")
        image = image.convert("LA" if image.mode == "L" else "RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "I", "F") and not image.mode.startswith("I;16"):
        raise ImageError(
            f"{name} has colour mode {image.mode}", "a grey, RGB, RGBA or palette image", "convert it to RGB"
        )
    array = from_array(np.asarray(image), name)
    return without_opaque_alpha(array) if image.mode in ("LA", "RGBA") else array


def from_array(array: Any, name: str = "array", axes: int = 2, *, whole: bool = False) -> NDArray[Any]:
    """Convert an array `(H, W)` or `(H, W, C)` to `(H, W, C)` uint8, uint16 or float32; with three `axes`, add D before
    H.

    Booleans become 0 and 255. Other integers and float64 become float32 with the same values.

    Args:
        array: the array, or nested lists.
        name: name for errors.
        axes: number of spatial axes.
        whole: whether unsigned integers are needed: other types become uint8 if their values are whole numbers from 0 to
            255, uint16 if up to 65535.

    Raises:
        ImageError: the array has another rank or dtype, no pixels, NaN or infinity, integers beyond 2**24, or values that
            `whole` does not permit.
    """
    values = _shaped(array, name, axes)
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind not in "iuf":
        raise ImageError(f"{name} has dtype {values.dtype}", "uint8, uint16 or float32", "convert it")
    if whole:
        return _unsigned(values, name)
    if values.dtype.kind in "iu" and max(int(values.max()), -int(values.min())) > 1 << 24:
        raise ImageError(
            f"{name} has integers beyond 2**24",
            "values that float32 represents exactly",
            "scale them down, or number objects from 1",
        )
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32, copy=False)
    if not np.isfinite(floats).all():
        problem = f"{name} contains NaN, infinity or values beyond the range of float32"
        raise ImageError(problem, "finite values", "replace them")
    return floats


def _shaped(array: Any, name: str, axes: int) -> NDArray[Any]:
    """Convert an array of any dtype to `(*spatial, C)`."""
    expected = "(H, W) or (H, W, C)" if axes == 2 else "(D, H, W) or (D, H, W, C)"
    try:
        values = np.asarray(array)
    except ValueError as error:
        raise ImageError(f"{name} is not an array ({error})", expected, "pass one image") from error
    if values.ndim == axes:
        values = values[..., None]
    if values.ndim != axes + 1 or values.shape[-1] > 64:
        raise ImageError(f"{name} has shape {np.shape(array)}", expected, "pass one image, channels last")
    if values.size == 0:
        raise ImageError(f"{name} has no pixels (shape {values.shape})", "at least one", "check how it was created")
    return values


def _unsigned(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Convert whole numbers of any dtype to uint8 or uint16."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):  # also true for NaN
        problem = f"{name} has {values.dtype} values from {low:g} to {high:g}"
        raise ImageError(
            problem, "whole numbers from 0 to 65535, like the training images", "convert it to their scale"
        )
    found = values.astype(np.uint8 if high <= 255 else np.uint16)
    if (found != values).any():
        problem = f"{name} has {values.dtype} values that are not whole numbers"
        raise ImageError(problem, "uint8 or uint16, like the training images", "convert it to their scale")
    return found


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation of an image; return the image itself if there is none."""
    return image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Apply an EXIF orientation, 1 to 8, to an image `(H, W, C)`; other numbers count as 1."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def without_opaque_alpha(array: NDArray[Any]) -> NDArray[Any]:
    """Remove the last channel of `(H, W, C)`, an alpha channel, if it is opaque everywhere."""
    opaque = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1.0
    return array[..., :-1] if (array[..., -1] == opaque).all() else array
