"""The windows of an image: their positions, cutting with reflection at the borders, and stitching of the results.

This is the overlap-tile strategy of Ronneberger et al. 2015 (arXiv 1505.04597, figure 2), made exact: the step between
windows is a multiple of the network's pooling stride, so that all windows have the same pooling phase and the stitched
logits equal those of one pass over the whole padded image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Geometry, Intensity
from .intensity import Array, Float, Normaliser


@dataclass(frozen=True)
class Grid:
    """The positions of the windows of an image, in px of the resized image, for the spatial axes only."""

    shape: tuple[int, ...]
    """Size of the area that the results cover."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    margin: tuple[int, ...]
    step: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], geometry: Geometry) -> Grid:
        """Return the windows of an image of `shape` px (after `geometry.frame`)."""
        g = geometry
        area = g.output_shape if g.method == "stretch" else shape
        return cls(area, g.input_shape, g.output_shape, g.margin, g.step)

    def origins(self) -> list[tuple[int, ...]]:
        """Return the first pixel of each output window, in row-major order."""
        axes = [
            range(0, (0 if n <= o else -(-(n - o) // s) * s) + 1, s)
            for n, o, s in zip(self.shape, self.output_shape, self.step, strict=True)
        ]
        return list(itertools.product(*axes))

    def core(self, origin: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the slices of the image that the window at `origin` covers, and the same pixels in its output window.

        A window covers `step` px, and the last one along an axis the remaining pixels. Overlap is cropped, not blended,
        because the values of both windows are equal there.
        """
        where, inside = [], []
        for first, n, o, s in zip(origin, self.shape, self.output_shape, self.step, strict=True):
            last = first + o >= n
            length = n - first if last else s
            where.append(slice(first, first + length))
            inside.append(slice(0, length))
        return tuple(where), tuple(inside)

    def windows(self, image: Array, intensity: Intensity, *, reuse: bool = False, batch: int = 1) -> Iterator[Float]:
        """Yield network inputs `(n, C, *input_shape)` float32, contiguous, with one window per origin, on demand.

        Args:
            image: `(*spatial, C)`, after `geometry.frame`.
            intensity: how grey values become floats.
            reuse: yield two arrays in turn, so that a group is valid until the group after the next one is requested.
            batch: number of windows per group, `n`; the last group may be smaller.
        """
        normalise = Normaliser.of(image, intensity)
        origins = self.origins()
        shape = (min(batch, len(origins)), image.shape[-1], *self.input_shape)
        kept = itertools.cycle([np.empty(shape, np.float32), np.empty(shape, np.float32)]) if reuse else None
        for first in range(0, len(origins), batch):
            group = next(kept) if kept else np.empty(shape, np.float32)
            some = origins[first : first + batch]
            for origin, window in zip(some, group, strict=False):
                start = tuple(o - m for o, m in zip(origin, self.margin, strict=True))
                normalise.into(cut(image, start, self.input_shape), window)
            yield group[: len(some)]

    def stitch(self, pieces: Iterable[Array], into: Array) -> Array:
        """Write the results of all windows into one array.

        Args:
            pieces: `(..., *output_shape)` per window, in the order of the origins.
            into: `(..., *shape)`; written to and returned.
        """
        for origin, piece in zip(self.origins(), pieces, strict=True):
            self.place(piece, origin, into)
        return into

    def place(self, piece: Array, origin: tuple[int, ...], into: Array) -> None:
        """Write the result `(..., *output_shape)` of the window at `origin` into `(..., *shape)`."""
        where, inside = self.core(origin)
        target: tuple[Any, ...] = (..., *where)
        source: tuple[Any, ...] = (..., *inside)
        into[target] = piece[source]


def mirror_index(start: int, length: int, size: int) -> NDArray[np.intp]:
    """Return the indices of `length` pixels from `start` on an axis of `size` px, reflected at both ends as often as
    needed.

    The edge pixel is not repeated (numpy's mode `reflect`), except on an axis of one pixel.

    >>> mirror_index(-2, 7, 3).tolist()
    [2, 1, 0, 1, 2, 1, 0]
    """
    if size == 1:
        return np.zeros(length, np.intp)
    period = 2 * (size - 1)
    index = np.arange(start, start + length) % period
    return np.minimum(index, period - index)


def cut(image: Array, origin: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Cut a box out of an image. Outside the image, the box contains the reflected image.

    Args:
        image: `(*spatial, C)` of any dtype.
        origin: first pixel of the box; may be negative.
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
