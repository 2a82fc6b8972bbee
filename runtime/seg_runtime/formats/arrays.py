"""Pictures and arrays of a caller -> arrays as the runtime takes them: `(*spatial, C)` uint8, uint16 or float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ..support import ImageError

_ORIENTATION = 274  # EXIF tag


def from_pil(image: Image.Image, name: str = "image") -> NDArray[Any]:
    """`(H, W, C)` of a PIL image, its EXIF orientation applied.

    Raises:
        ImageError: a colour model that has no plain reading as grey or RGB, or values that do not fit float32.
    """
    image = upright(image)
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


def from_array(array: Any, name: str = "array", axes: int = 2) -> NDArray[Any]:
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


def upright(image: Image.Image) -> Image.Image:
    """The picture as it is meant to be seen; not a copy where it already is."""
    return image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)
