"""Pillow's bicubic resampling of integer images in exact arithmetic, so that any language and ONNX host can reproduce
it.

Pillow resizes 8-bit images in two passes, first along the rows and then along the columns. Each pass is a product with
a matrix of 22-bit fixed-point weights, rounded to a grey value. All sums are below 2**53, so float64 matrix products
are exact, whatever the order of the additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

BICUBIC_BITS = 22  # bits of the weights; Pillow's 32 minus 8 for the grey value and 2 for overshoot
BICUBIC_REACH = 2.0  # half width of the cubic kernel, in px


def cubic(distance: Weights) -> Weights:
    """Return Keys' cubic convolution kernel (1981) with a = -1/2, at non-negative distances in px."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * -0.5
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


def weights(size: int, length: int) -> Weights:
    """Return the fixed-point weights `(length, size)` that resize an axis of `size` px to `length` px: integers as
    float64.

    If the axis shrinks, the kernel is widened by the scale (antialiasing).
    """
    scale = size / length
    stretch = max(scale, 1.0)
    support = BICUBIC_REACH * stretch
    centre = (np.arange(length, dtype=np.float64)[:, None] + 0.5) * scale
    place = np.arange(size, dtype=np.float64)
    first = np.floor(np.maximum(centre - support + 0.5, 0))
    end = np.minimum(np.floor(centre + support + 0.5), size)
    kernel = cubic(np.abs((place - centre + 0.5) * (1 / stretch)))
    kernel[(place < first) | (place >= end)] = 0
    total = kernel.cumsum(axis=1)[:, -1:]  # added from left to right, as Pillow does
    fixed: Weights = np.trunc(kernel / total * 2**BICUBIC_BITS + np.copysign(0.5, kernel))
    return fixed


def resize(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Resize `(H, W, C)` uint8 or uint16 to `(*shape, C)` of the same dtype, bicubic and antialiased.

    For uint8, the result is identical to Pillow's `resize(…, BICUBIC)` of the rows and then of the columns; Pillow is
    faster.
    """
    maximum = np.iinfo(image.dtype).max
    (height, width, _), (rows, columns) = image.shape, shape  # an axis that keeps its length keeps its values
    planes = []
    for channel in range(image.shape[-1]):
        plane = image[..., channel].astype(np.float64)
        if columns != width:
            plane = _rounded(plane @ weights(width, columns).T, maximum)  # (H, columns)
        if rows != height:
            plane = _rounded(weights(height, rows) @ plane, maximum)
        planes.append(plane)  # (rows, columns)
    return np.stack(planes, axis=-1).astype(image.dtype)


def _rounded(sums: Weights, maximum: int) -> Weights:
    half = 2 ** (BICUBIC_BITS - 1)
    grey: Weights = np.clip(np.floor((sums + half) * 2.0**-BICUBIC_BITS), 0, maximum)
    return grey
