"""Convert grey values to network input, with numpy only, for any number of spatial axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Intensity

Array = NDArray[Any]
Float = NDArray[np.float32]


def dtype_maximum(dtype: np.dtype[Any]) -> float:
    """Return the maximum of an integer dtype, 1 for floats: the unit of `scale`, `standardize` and `zscore`."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def mean_std(image: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and standard deviation per channel of an image `(*spatial, C)`, in units of its dtype's maximum.

    The sums are computed in blocks of rows, so that a large image is not copied. For integers, the sums of the values
    and of their squares are integers, hence identical in every language and on every device. Floats take two passes in
    float64.
    """
    unit, count = dtype_maximum(image.dtype), image.size // image.shape[-1]
    axes = tuple(range(image.ndim - 1))
    rows = max(1, (1 << 20) // max(1, image[0].size))
    blocks = [image[i : i + rows] for i in range(0, len(image), rows)]
    if np.issubdtype(image.dtype, np.integer):
        wide = [(b.sum(axis=axes, dtype=np.int64), np.square(b, dtype=np.int64).sum(axis=axes)) for b in blocks]
        first, second = (np.asarray(sum(part)).astype(np.float64) for part in zip(*wide, strict=True))
        mean = first / count
        variance = np.maximum(second / count - mean * mean, 0)
    else:
        mean = np.asarray(sum(b.sum(axis=axes, dtype=np.float64) for b in blocks) / count)
        variance = np.asarray(sum(np.square(b - mean).sum(axis=axes) for b in blocks) / count)
    return mean / unit, np.sqrt(variance) / unit


@dataclass(frozen=True)
class Normaliser:
    """The conversion of an image's grey values to network input: `(x - shift) * factor` per channel in float32."""

    shift: Float
    """One value, or one value per channel."""
    factor: Float
    clip: bool
    """Whether to clip the result to 0..1."""

    def __call__(self, box: Array) -> Float:
        """Return the network input `(*spatial, C)` for any box `(*spatial, C)` of the image."""
        values: Float = (box.astype(np.float32) - self.shift) * self.factor
        return np.clip(values, 0, 1) if self.clip else values

    def into(self, box: Array, planes: Float) -> Float:
        """Write the network input with the channels first into an array `(C, *spatial)`, which is returned."""
        along = (-1, *(1,) * (box.ndim - 1))
        np.copyto(
            planes, np.moveaxis(box, -1, 0), casting="unsafe"
        )  # converts to float and moves the channels in one pass
        if self.shift.any():
            planes -= self.shift.reshape(along)
        planes *= self.factor.reshape(along)
        return np.clip(planes, 0, 1, out=planes) if self.clip else planes

    @classmethod
    def of(cls, image: Array, intensity: Intensity) -> Normaliser:
        """Return the conversion for an image.

        Args:
            image: `(*spatial, C)`; its values are used only by `zscore`.
            intensity: see `Intensity`.
        """
        unit = dtype_maximum(image.dtype)
        if intensity.method == "scale":
            shift, factor = np.zeros(1), np.array([1 / unit])
        elif intensity.method == "standardize":
            shift, factor = np.array(intensity.mean) * unit, 1 / (np.array(intensity.std) * unit)
        elif intensity.method == "zscore":
            mean, std = mean_std(image)
            shift, factor = mean * unit, 1 / (np.maximum(std, intensity.std_floor) * unit)
        else:
            shift, factor = np.array([intensity.level - intensity.width / 2]), np.array([1 / intensity.width])
        return cls(shift.astype(np.float32), factor.astype(np.float32), intensity.method == "window")
