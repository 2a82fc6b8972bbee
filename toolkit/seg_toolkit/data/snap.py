"""Stray values of masks, such as three pixels of 24 and 37 between 0 and 255, which belong to the class with the nearest value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from seg_runtime.support import OptionsError

from .classes import ClassValues
from .dataset import LABELS, DataSet, Example, WrappedCase
from .masks import Mask
from .values import parse_values


@dataclass(frozen=True)
class _SnappedCase(WrappedCase):
    """A case in whose mask certain values stand for the nearest value of a class."""

    stray: tuple[int, ...]

    def values(self) -> dict[int, str]:
        """Values of the mask without the stray ones."""
        return {value: file for value, file in self.inner.values().items() if value not in self.stray}

    def mask(self, colours: bool = False) -> Mask | None:
        """Read the mask, with the nearest of its other values in place of stray ones."""
        mask = self.inner.mask(colours)
        if mask is None:
            return None
        stored, ranks = np.unique(mask.values, return_inverse=True)
        kept = np.array([value for value in stored.tolist() if value not in self.stray] or [0])
        snapped = kept[np.abs(stored[:, None] - kept).argmin(axis=1)]
        palette = {index: colour for index, colour in mask.palette.items() if index not in self.stray}
        return replace(mask, values=snapped[ranks].reshape(mask.values.shape), palette=palette)

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        return self.inner.read(_widened(classes, self.stray))


def _widened(classes: Sequence[ClassValues], stray: Sequence[int]) -> list[ClassValues]:
    """Add each stray value to the class with the nearest value, the first of several."""
    taken = {value for entry in classes for value in entry.values}
    wider = [list(entry.values) for entry in classes]
    for value in stray:
        if value not in taken:
            near = min(range(len(classes)), key=lambda i: min(abs(value - known) for known in classes[i].values))
            wider[near].append(value)
    return [replace(entry, values=tuple(values)) for entry, values in zip(classes, wider, strict=True)]


def with_snapped(data: DataSet, text: str) -> DataSet:
    """Assign stray values of the masks to the class with the nearest value.

    Args:
        data: data set.
        text: stray values as in `--classes`, such as `24+37`.

    Raises:
        OptionsError: if the text is not values, or the data set has no masks.
    """
    if data.truth != LABELS:
        raise OptionsError(f"the reader has snap={text}, but the ground truth is {data.truth}", "masks", "leave it out")
    try:
        values = parse_values(text)
    except ValueError as error:
        raise OptionsError(f"the reader has snap={text}", "mask values such as 24+37", "correct the values") from error
    return replace(data, cases=tuple(_SnappedCase(case.name, case, values) for case in data.cases))
