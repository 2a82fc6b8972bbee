"""The size of a pixel that the user states, in place of what the files state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seg_runtime.model import Acquisition
from seg_runtime.support import parse_pixel_size

from .classes import ClassValues
from .dataset import DataSet, Example, WrappedCase

_AXES = 3  # a size along one axis is that of all, and the last axes of a volume are those of its slices


@dataclass(frozen=True)
class _SizedCase(WrappedCase):
    """A case whose pixels have a given size."""

    spacing_mm: tuple[float, ...]

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired, with the given size of a pixel."""
        return replace(self.inner.acquisition(), spacing_mm=self.spacing_mm, spacing_doubt="")

    def values(self) -> dict[int, str]:
        """All values of the mask."""
        return self.inner.values()

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        return self.inner.read(classes)


def with_pixel_size(data: DataSet, text: str) -> DataSet:
    """State the size of a pixel of all images.

    Args:
        data: data set.
        text: size with its unit, such as `0.325um`, see `parse_pixel_size`.

    Raises:
        OptionsError: if it is no size.
    """
    sides = parse_pixel_size(text)
    sides = sides if len(sides) > 1 else sides * _AXES
    return replace(data, cases=tuple(_SizedCase(case.name, case, sides) for case in data.cases))
