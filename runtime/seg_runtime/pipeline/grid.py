"""The windows of an image: where they lie, how they are cut out, mirrored at the edges, and how their answers are stitched.

The overlap-tile strategy of Ronneberger et al. 2015 (arXiv 1505.04597, figure 2), made exact: windows step by a
multiple of the network's pooling stride, so that every window meets the image in the same pooling phase and the
stitched logits equal those of one pass over the whole padded image.
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
    """Where the windows of one image lie. All in px of the image that the network sees, spatial axes only."""

    shape: tuple[int, ...]
    """Size of the area to be answered."""
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    margin: tuple[int, ...]
    step: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], geometry: Geometry) -> Grid:
        """The windows that answer an image of `shape` px (after `geometry.frame`)."""
        g = geometry
        area = g.output_shape if g.method == "stretch" else shape
        return cls(area, g.input_shape, g.output_shape, g.margin, g.step)

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

    def windows(self, image: Array, intensity: Intensity, *, reuse: bool = False, batch: int = 1) -> Iterator[Float]:
        """Network inputs `(n, C, *input_shape)` float32, contiguous, one for each of the origins, made when asked for.

        Args:
            image: `(*spatial, C)`, framed.
            intensity: how grey values become floats.
            reuse: give two arrays in turn, so that a group is good until the second one after it is asked for.
            batch: windows of a group, `n`; the last group holds what is left.
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
        """Place the answers of all windows into one array.

        Args:
            pieces: `(..., *output_shape)` per window, in the order of the origins.
            into: `(..., *shape)`; filled and returned.
        """
        for origin, piece in zip(self.origins(), pieces, strict=True):
            self.place(piece, origin, into)
        return into

    def place(self, piece: Array, origin: tuple[int, ...], into: Array) -> None:
        """Place the answer `(..., *output_shape)` of the window at `origin` into `(..., *shape)`."""
        where, inside = self.core(origin)
        target: tuple[Any, ...] = (..., *where)
        source: tuple[Any, ...] = (..., *inside)
        into[target] = piece[source]


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
