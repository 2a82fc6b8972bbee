"""Whether the values of masks number objects instead of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import DataError

from ..data import Report, proposed
from .masks import MaskSurvey

_SAMPLE = 16  # masks in which objects are counted
_ENOUGH, _HALF = 3, 0.5  # masks in which that share is so small that the others change nothing
_SINGLE = 0.9  # share of values that are one region each, if values number objects


def numbers_objects(masks: MaskSurvey, say: Report) -> bool:
    """Whether the values of the masks number objects instead of classes, as far as the masks show it.

    They do if each value is one region, and the values are 1 to n in every mask, with different n, or are too many for
    classes, or have more than 8 bits and are apart from each other or in the order of the pixels.

    Args:
        masks: what the masks contain.
        say: called with a note if the values are probably classes.

    Raises:
        DataError: if the values may be either.
    """
    every: frozenset[int] = frozenset().union(*masks.sets)
    if masks.of_classes or len(every) < 2 or min(every) < 1:
        return False
    counted: list[_Objects] = []
    regions: list[int] = []
    for case in masks.data.cases[:: max(1, len(masks.data.cases) // _SAMPLE)]:
        if (mask := case.mask()) is not None:
            counted.append(_objects(mask.values))
            regions += counted[-1].regions
        if len(counted) >= _ENOUGH and sum(n == 1 for n in regions) < _HALF * len(regions):
            return False
    if not regions or sum(n == 1 for n in regions) < _SINGLE * len(regions):
        return False
    gapless = all(not found or max(found) == len(found) for found in masks.sets)
    many, differ = max(map(len, masks.sets)), len({len(found) for found in masks.sets}) > 1
    ordered, apart = all(found.ordered for found in counted), not any(found.touching for found in counted)
    if max(every) > 255 or (gapless and differ and many > 2) or (masks.wide and (ordered or apart)):
        return True
    problem = f"each value of the masks ({', '.join(map(str, sorted(every)[:5]))}) is one region in an image"
    advice = "use --reader pairs:masks=instances if the values number objects"
    if gapless and apart:
        classes = proposed([0, *sorted(every)[:12]])
        raise DataError(f"{problem}, an object or a class", "", f"{advice}, or name the classes: --classes {classes}")
    say(f"note: {problem}; {advice}")
    return False


@dataclass(frozen=True)
class _Objects:
    """The regions of each value of a mask: how many, whether values follow the order of pixels, whether any two touch."""

    regions: list[int]
    ordered: bool
    touching: bool


def _objects(values: NDArray[np.int64]) -> _Objects:
    stored, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    ranks = inverse.reshape(values.shape).astype(np.int32) + (1 if stored[0] else 0)  # 0 for the background
    regions = []
    for rank, box in enumerate(ndimage.find_objects(ranks), 1):
        if box is not None:
            regions.append(int(ndimage.label(ranks[box] == rank, np.ones((3, 3)))[1]))
    starts = first[stored != 0]
    inside = np.where(ranks > 0, ranks, np.iinfo(np.int32).max)
    low, high = ndimage.minimum_filter(inside, 3), ndimage.maximum_filter(ranks, 3)
    touching = bool(((low != high) & (ranks > 0)).any())
    return _Objects(regions, bool((np.diff(starts) > 0).all()), touching)
