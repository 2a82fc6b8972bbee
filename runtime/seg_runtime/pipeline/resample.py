"""Pillow's bicubic resampling of integer images in exact arithmetic, so that any language and ONNX host can reproduce
it.

Pillow resizes 8-bit images in two passes, first along the rows and then along the columns. Each pass is a product with
a matrix of 22-bit fixed-point weights, rounded to a grey value. All sums are below 2**53, so float64 matrix products
are exact, whatever the order of the additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

BICUBIC_BITS = 22  # bits of the weights; Pillow's 32 minus 8 for the grey value and 2 for overshoot
BICUBIC_REACH = 2.0  # half width of the cubic kernel, in px
_BAND = 64  # results at a time


def cubic(distance: Weights) -> Weights:
    """Return Keys' cubic convolution kernel (1981) with a = -1/2, at non-negative distances in px."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * -0.5
    return np.where(distance < 1, near, np.where(distance < 2, far, 0.0))


class Band(NamedTuple):
    """Neighbouring results along an axis.

    Attributes:
        results: their places.
        source: the px that they depend on.
        weights: fixed-point weights `(results, source)`: integers as float64.
    """

    results: slice
    source: slice
    weights: Weights


def bands(size: int, length: int) -> Iterator[Band]:
    """Yield the results that resize an axis of `size` px to `length` px, some at a time: a result depends on few px, so
    that a matrix for the whole axis would hold zeros, in gigabytes.

    If the axis shrinks, the kernel is widened by the scale (antialiasing).
    """
    scale = size / length
    stretch = max(scale, 1.0)
    support = BICUBIC_REACH * stretch
    for start in range(0, length, _BAND):
        results = slice(start, min(start + _BAND, length))
        centre = (np.arange(results.start, results.stop, dtype=np.float64)[:, None] + 0.5) * scale
        first = np.floor(np.maximum(centre - support + 0.5, 0))
        end = np.minimum(np.floor(centre + support + 0.5), size)
        source = slice(int(first[0, 0]), int(end[-1, 0]))
        place = np.arange(source.start, source.stop, dtype=np.float64)
        kernel = cubic(np.abs((place - centre + 0.5) * (1 / stretch)))
        kernel[(place < first) | (place >= end)] = 0
        total = kernel.cumsum(axis=1)[:, -1:]  # added from left to right, as Pillow does
        yield Band(results, source, np.trunc(kernel / total * 2**BICUBIC_BITS + np.copysign(0.5, kernel)))


def resize(image: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Resize `(H, W, C)` uint8 or uint16 to `(*shape, C)` of the same dtype, bicubic and antialiased.

    For uint8, the result is identical to Pillow's `resize(…, BICUBIC)` of the rows and then of the columns; Pillow is
    faster.
    """
    (height, width, channels), (rows, columns) = image.shape, shape  # an axis that keeps its length keeps its values
    maximum = np.iinfo(image.dtype).max
    if columns != width:
        narrow = np.empty((height, columns, channels), image.dtype)
        for band in bands(width, columns):
            for channel in range(channels):
                sums = image[:, band.source, channel].astype(np.float64) @ band.weights.T
                narrow[:, band.results, channel] = _rounded(sums, maximum)
        image = narrow
    if rows != height:
        low = np.empty((rows, columns, channels), image.dtype)
        for band in bands(height, rows):
            for channel in range(channels):
                sums = band.weights @ image[band.source, :, channel].astype(np.float64)
                low[band.results, :, channel] = _rounded(sums, maximum)
        image = low
    return image


def _rounded(sums: Weights, maximum: int) -> Weights:
    half = 2 ** (BICUBIC_BITS - 1)
    grey: Weights = np.clip(np.floor((sums + half) * 2.0**-BICUBIC_BITS), 0, maximum)
    return grey
