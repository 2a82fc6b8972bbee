"""Recognise images and masks in each other's folder."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError

from ..data import Case, DataSet

_CASES = 3  # that are looked at
_FEW, _MANY = 8, 16  # values of a mask at most, and of an image at least
_FLAT = 0.9  # share of the pixels that equal the next one: more in masks, fewer in images


def swapped(data: DataSet) -> DataError | None:
    """Return the error about a data set whose images look like masks and whose masks look like images; None for others."""
    if not all(_swapped(case) for case in data.cases[:_CASES]):
        return None
    problem = (
        f"the images and the masks look swapped: {data.cases[0].name} has few values as an image and many as a mask"
    )
    return DataError(problem, "", "exchange the two folders")


def _swapped(case: Case) -> bool:
    image = case.image()
    if not 2 <= len(np.unique(image)) <= _FEW or _flatness(image) < _FLAT:
        return False
    try:
        mask = case.mask()
    except DataError:  # it is in colour, or has fractions
        return True
    return mask is not None and len(np.unique(mask.values)) > _MANY and _flatness(mask.values) < _FLAT


def _flatness(array: NDArray[Any]) -> float:
    """Share of the pixels that equal the next one in their row."""
    return float((array[:, 1:] == array[:, :-1]).mean())
