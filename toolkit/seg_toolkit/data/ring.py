"""A ring along the edges of a mask as a class of its own, for networks that must find a boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import DataError, SegError

from .classes import ClassValues
from .dataset import LABELS, Case, DataSet, Example

RING = -1
"""The mask value of the ring, which no file can hold: `--classes background=0,lesion=255,boundary=-1`."""
_WIDEST_PX = 1000


@dataclass(frozen=True)
class _RingCase(Case):
    """A case whose pixels within `width_px` of an edge, on either side, belong to the class of the value RING."""

    name: str
    inner: Case
    width_px: int

    def image(self) -> NDArray[Any]:
        """As without the ring."""
        return self.inner.image()

    def values(self) -> dict[int, str]:
        """Those of the mask, and RING."""
        values = self.inner.values()
        return {RING: next(iter(values.values()), self.name), **values}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth with the ring; see `Case.read`.

        Raises:
            DataError: no class has the value RING.
        """
        index = next((i for i, c in enumerate(classes) if RING in c.values), None)
        if index is None:
            listed = ", ".join(c.info.name for c in classes)
            raise DataError(f"the classes {listed} and ring={self.width_px}", f"one of them with the value {RING}",
                            f"--classes background=0,object=255,boundary={RING}")  # fmt: skip
        example = self.inner.read(classes)
        truth = np.where(ring_mask(example.labels, self.width_px), np.uint8(index), example.labels)
        return replace(example, labels=truth, plain=example.labels)


def with_ring(data: DataSet, width: str) -> DataSet:
    """A data set with a ring of `width` px on either side of every edge.

    Raises:
        SegError: not a number of px, or a data set without masks.
    """
    if data.truth != LABELS:
        problem = f"--reader {data.reader} with a ring, and a truth of {data.truth}"
        raise SegError(problem, "a data set of masks, whose edges the ring follows", "leave ring out")
    if not (width.isascii() and width.isdigit() and 1 <= int(width) <= _WIDEST_PX):
        raise SegError(f"a reader with ring={width}", f"px on either side of an edge, 1 to {_WIDEST_PX}", "correct it")
    return replace(data, cases=tuple(_RingCase(case.name, case, int(width)) for case in data.cases))


def ring_mask(labels: NDArray[np.uint8], width_px: int) -> NDArray[np.bool_]:
    """Pixels of `(*spatial)` class indices whose distance to a pixel of another class is `width_px` at most."""
    near = np.zeros(labels.shape, bool)
    for value in np.unique(labels):
        inside = labels == value
        if not inside.all():  # without another class there is no edge, and no distance to it
            near |= inside & (ndimage.distance_transform_edt(inside) <= width_px)
    return near


def without_ring(labels: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """`(*spatial)` class indices with the ring, of that index, given to the class that is nearer: the edge is its middle line.

    Straight edges come back to the px, sharp corners rounded by one or two.
    What is nothing but ring, an object less than twice its width, goes to what surrounds it; where all is ring, to the background.
    """
    inside = labels == index
    if inside.all():
        return np.zeros_like(labels)
    nearest: NDArray[np.int32] = ndimage.distance_transform_edt(inside, return_distances=False, return_indices=True)
    whole: NDArray[np.uint8] = labels[tuple(nearest)]
    return whole
