"""Recognise images and masks in each other's folder, or in both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError

from ..data import Case, DataSet, Mask, of_colours
from .masks import MaskError

_CASES = 8  # that are looked at
_FEW, _MANY = 8, 16  # values of a mask at most, and of an image at least
_FLAT, _VARIED = 0.9, 0.7  # share of the pixels that equal the next one: at least in masks, at most in most images


def swapped(data: DataSet) -> DataError | None:
    """Return the error about a data set whose images look like masks and whose masks look like images; None for others.

    Masks that are copies of the images are such an error too, a `MaskError`.
    """
    cases = data.cases[:: max(1, len(data.cases) // _CASES)]
    if all(_is_same(case) for case in cases):
        problem = f"the masks are copies of the images, such as the mask of {cases[0].name}"
        return MaskError(problem, "one value for each class", "put the masks in their folder")
    if not all(_is_flat(case.image()) for case in cases):
        return None
    masks = [mask.values for case in cases if (mask := _mask(case)) is not None]
    varied = [_flatness(values) <= _VARIED and len(np.unique(values)) > _MANY for values in masks]
    if sum(varied) <= len(cases) / 2:
        return None
    problem = f"the images and the masks look swapped: {cases[0].name} has few values as an image and many as a mask"
    return DataError(problem, "", "exchange the two folders")


def _is_same(case: Case) -> bool:
    """Whether image and mask have equal pixels."""
    if (mask := _mask(case)) is None:
        return False
    image = case.image()
    grey = np.array_equal(mask.values, image[..., 0])
    return grey or (image.shape[-1] == 3 and image.dtype == np.uint8 and np.array_equal(mask.values, of_colours(image)))


def _mask(case: Case) -> Mask | None:
    """Read a mask, also if it is in colour; None if there is none, or it cannot be read."""
    for colours in (False, True):
        try:
            return case.mask(colours)
        except DataError:
            continue
    return None


def _is_flat(image: NDArray[Any]) -> bool:
    return 2 <= len(np.unique(image)) <= _FEW and _flatness(image) >= _FLAT


def _flatness(array: NDArray[Any]) -> float:
    """Share of the pixels that equal the next one in their row."""
    return float((array[:, 1:] == array[:, :-1]).mean())
