"""A mask value of pixels that are not annotated, such as 255 in Pascal VOC and Cityscapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from seg_runtime.model import ClassInfo
from seg_runtime.support import DataError, OptionsError

from .classes import ClassValues, by_colour
from .dataset import LABELS, DataSet, Example, WrappedCase
from .masks import Mask
from .values import colour_of, listed, parse_values

_MOST_CLASSES = 255


@dataclass(frozen=True)
class _PartlyKnownCase(WrappedCase):
    """A case whose pixels with certain mask values have weight 0 in training and are left out of scores."""

    ignored: tuple[int, ...]

    def values(self) -> dict[int, str]:
        """Values of the mask that are annotations."""
        return {value: file for value, file in self.inner.values().items() if value not in self.ignored}

    def mask(self, colours: bool = False) -> Mask | None:
        """Read the mask, with the smallest other value in place of those that are ignored."""
        mask = self.inner.mask(colours)
        if mask is None:
            return None
        known = ~np.isin(mask.values, self.ignored)
        palette = {index: colour for index, colour in mask.palette.items() if index not in self.ignored}
        rest = int(mask.values[known].min()) if known.any() else 0
        return replace(mask, values=np.where(known, mask.values, rest), palette=palette)

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`.

        Raises:
            DataError: if no pixel is annotated.
        """
        if len(classes) > _MOST_CLASSES:
            problem = f"{len(classes)} classes and a value that is ignored do not fit into 8 bits"
            raise DataError(problem, f"at most {_MOST_CLASSES} classes", "join classes, as in --classes cell=1+2")
        ignored = tuple(v for v in self.ignored if (colour_of(v) is not None) == by_colour(classes))
        taken = {value for entry in classes for value in entry.values}
        void = ClassValues(ClassInfo("not annotated", (0, 0, 0)), tuple(v for v in ignored if v not in taken))
        example = self.inner.read([*classes, void])
        known = example.labels != len(classes)
        if not known.any():
            problem = f"the mask of {self.name} annotates no pixel"
            raise DataError(problem, f"values other than {listed(self.ignored)}", "leave this case out")
        labels = np.where(known, example.labels, np.uint8(0))
        return replace(example, labels=labels, known=known if example.known is None else known & example.known)


def with_ignored(data: DataSet, text: str) -> DataSet:
    """Mark the pixels with certain mask values as not annotated.

    Args:
        data: data set.
        text: values as in `--classes`, such as `255`.

    Raises:
        OptionsError: if the text is not values, or the data set has no masks.
    """
    if data.truth != LABELS:
        raise OptionsError(f"--ignore-value is {text}, but the ground truth is {data.truth}", "masks", "leave it out")
    try:
        values = parse_values(text)
    except ValueError as error:
        raise OptionsError(f"--ignore-value is {text}", "a mask value such as 255", "correct the value") from error
    return replace(data, cases=tuple(_PartlyKnownCase(case.name, case, values) for case in data.cases))
