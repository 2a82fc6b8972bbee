"""Array -> normalised, mirror-padded windows and the Grid they lie on. numpy only, any number of spatial axes.

The overlap-tile strategy of Ronneberger et al. 2015 (arXiv 1505.04597, figure 2), made exact: windows step by a
multiple of the network's pooling stride, so that every window meets the image in the same pooling phase and the
stitched logits equal those of one pass over the whole padded image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract, Intensity

Array = NDArray[Any]
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Where the windows of one image lie. All in px of the image that the network sees, spatial axes only."""

    shape: tuple[int, ...]
    """Size of the area to be answered."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    margin: tuple[int, ...]
    step: tuple[int, ...]

    def origins(self) -> list[tuple[int, ...]]:
        """First pixel of each output window, in row-major order."""
        axes = [
            range(0, (0 if n <= o else -(-(n - o) // s) * s) + 1, s)
            for n, o, s in zip(self.shape, self.output_shape, self.step, strict=True)
        ]
        return list(itertools.product(*axes))

    def core(self, origin: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Slices of the image that the window at `origin` answers for, and the same pixels in its output window.

        A window answers for `step` px; the last one of an axis for what is left. Overlap is cropped, never blended:
        the values are the same in both windows.
        """
        where, inside = [], []
        for first, n, o, s in zip(origin, self.shape, self.output_shape, self.step, strict=True):
            last = first + o >= n
            length = n - first if last else s
            where.append(slice(first, first + length))
            inside.append(slice(0, length))
        return tuple(where), tuple(inside)


def mirror_index(start: int, length: int, size: int) -> NDArray[np.intp]:
    """Indices that read `length` pixels from `start` on an axis of `size` px, mirrored at both ends as often as needed.

    The edge pixel is not repeated (numpy's mode `reflect`); an axis of one pixel repeats it.

    >>> mirror_index(-2, 7, 3).tolist()
    [2, 1, 0, 1, 2, 1, 0]
    """
    if size == 1:
        return np.zeros(length, np.intp)
    period = 2 * (size - 1)
    index = np.arange(start, start + length) % period
    return np.minimum(index, period - index)


def cut(image: Array, origin: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Read a box that may reach beyond the image, mirrored there.

    Args:
        image: `(*spatial, C)` of any dtype.
        origin: first pixel of the box, may be negative.
        shape: size of the box.

    Returns:
        `(*shape, C)` of the image's dtype.
    """
    inside = all(o >= 0 and o + n <= size for o, n, size in zip(origin, shape, image.shape, strict=False))
    if inside:
        return image[tuple(slice(o, o + n) for o, n in zip(origin, shape, strict=True))]
    for axis, (first, length) in enumerate(zip(origin, shape, strict=True)):
        image = image.take(mirror_index(first, length, image.shape[axis]), axis=axis)
    return image


def dtype_maximum(dtype: np.dtype[Any]) -> float:
    """Largest value of an integer dtype, 1 for floats: the unit of the intensities `scale`, `standardize`, `zscore`."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def mean_std(image: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation per channel of an `(*spatial, C)` image, in units of its dtype's maximum.

    In blocks of rows, so that a large image needs no copy of itself. The sums of integers and of their squares are
    integers, hence the same in every language and on every device; floats take two passes in float64.
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
    """The map from one image's grey values to network input: `(x - shift) * factor` per channel in float32."""

    shift: Float
    """One value, or one for each channel."""
    factor: Float
    clip: bool
    """To 0..1, afterwards."""

    def __call__(self, box: Array) -> Float:
        """Network input `(*spatial, C)` of any box `(*spatial, C)` cut from the image."""
        values: Float = (box.astype(np.float32) - self.shift) * self.factor
        return np.clip(values, 0, 1) if self.clip else values

    def into(self, box: Array, planes: Float) -> Float:
        """The same with the channels first, `(C, *spatial)`, written into an array of that shape, which is returned."""
        along = (-1, *(1,) * (box.ndim - 1))
        np.copyto(planes, np.moveaxis(box, -1, 0), casting="unsafe")  # one pass makes floats and moves the channels
        if self.shift.any():
            planes -= self.shift.reshape(along)
        planes *= self.factor.reshape(along)
        return np.clip(planes, 0, 1, out=planes) if self.clip else planes


def normaliser(image: Array, intensity: Intensity) -> Normaliser:
    """How this image's grey values become network input.

    Args:
        image: `(*spatial, C)`; only `zscore` looks at its values.
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
    return Normaliser(shift.astype(np.float32), factor.astype(np.float32), intensity.method == "window")


def plan(shape: tuple[int, ...], contract: Contract) -> Grid:
    """The windows that answer an image of `shape` px (after `geometry.frame`)."""
    g = contract.geometry
    area = g.output_shape if g.method == "stretch" else shape
    return Grid(area, g.input_shape, g.output_shape, g.margin, g.step)


def windows(image: Array, grid: Grid, intensity: Intensity, reuse: bool = False, batch: int = 1) -> Iterator[Float]:
    """Network inputs `(n, C, *input_shape)` float32, contiguous, one for each of `grid.origins()`, made when asked for.

    Args:
        image: `(*spatial, C)`, framed.
        grid: its plan.
        intensity: how grey values become floats.
        reuse: give two arrays in turn, so that a group is good until the second one after it is asked for.
        batch: windows of a group, `n`; the last group holds what is left.
    """
    normalise = normaliser(image, intensity)
    origins = grid.origins()
    shape = (min(batch, len(origins)), image.shape[-1], *grid.input_shape)
    kept = itertools.cycle([np.empty(shape, np.float32), np.empty(shape, np.float32)]) if reuse else None
    for first in range(0, len(origins), batch):
        group = next(kept) if kept else np.empty(shape, np.float32)
        some = origins[first : first + batch]
        for origin, window in zip(some, group, strict=False):
            start = tuple(o - m for o, m in zip(origin, grid.margin, strict=True))
            normalise.into(cut(image, start, grid.input_shape), window)
        yield group[: len(some)]
