"""A ring along the edges of a mask as a separate class, for networks that predict boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import DataError, SegError

from .classes import ClassValues
from .dataset import LABELS, DataSet, Example, WrappedCase

RING = -1
"""Mask value of the ring, which does not occur in files: `--classes background=0,lesion=255,boundary=-1`."""
_WIDEST_PX = 1000


@dataclass(frozen=True)
class _RingCase(WrappedCase):
    """A case whose pixels within `width_px` on either side of an edge belong to the class with the value RING."""

    width_px: int

    def values(self) -> dict[int, str]:
        """Values of the mask, and RING."""
        values = self.inner.values()
        return {RING: next(iter(values.values()), self.name), **values}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth with the ring; see `Case.read`.

        Raises:
            DataError: if no class has the value RING.
        """
        index = next((i for i, c in enumerate(classes) if RING in c.values), None)
        if index is None:
            listed = ", ".join(c.info.name for c in classes)
            problem = f"the reader has ring={self.width_px}, but the classes {listed} include no ring"
            advice = f"give it a class, as in --classes background=0,object=255,boundary={RING}"
            raise DataError(problem, f"a class with the value {RING}", advice)
        example = self.inner.read(classes)
        truth = np.where(ring_mask(example.labels, self.width_px), np.uint8(index), example.labels)
        return replace(example, labels=truth, plain=example.labels)


def with_ring(data: DataSet, width: str) -> DataSet:
    """Add a ring of `width` px on either side of every edge to a data set.

    Raises:
        SegError: if `width` is not a number of px, or the data set has no masks.
    """
    if data.truth != LABELS:
        problem = f"--reader {data.reader} has a ring, but the ground truth is {data.truth}"
        raise SegError(problem, "masks, whose edges a ring follows", "leave out ring")
    if not (width.isascii() and width.isdigit() and 1 <= int(width) <= _WIDEST_PX):
        expected = f"the width in px on either side of an edge, 1 to {_WIDEST_PX}"
        raise SegError(f"the reader has ring={width}", expected, "correct the width")
    return replace(data, cases=tuple(_RingCase(case.name, case, int(width)) for case in data.cases))


def ring_mask(labels: NDArray[np.uint8], width_px: int) -> NDArray[np.bool_]:
    """Mark the pixels of `(*spatial)` class indices within `width_px` of a pixel of another class."""
    near = np.zeros(labels.shape, bool)
    for value in np.unique(labels):
        inside = labels == value
        if not inside.all():  # without another class there is no edge
            near |= inside & (ndimage.distance_transform_edt(inside) <= width_px)
    return near


def without_ring(labels: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Replace the ring, which has the class `index`, by the nearest class, so that the edge is the middle line of the ring.

    Straight edges are restored exactly; sharp corners are rounded by one or two px. Objects thinner than twice the ring
    width are nothing but ring and become part of what surrounds them. An image that is all ring becomes background.

    Args:
        labels: `(*spatial)` class indices.
        index: class index of the ring.
    """
    inside = labels == index
    if inside.all():
        return np.zeros_like(labels)
    nearest: NDArray[np.int32] = ndimage.distance_transform_edt(inside, return_distances=False, return_indices=True)
    whole: NDArray[np.uint8] = labels[tuple(nearest)]
    return whole
