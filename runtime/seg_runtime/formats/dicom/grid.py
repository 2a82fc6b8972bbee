"""Check whether slices lie on a regular grid, as programs assume that show them as a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OFF = 0.1  # of the distance between slices, by which a slice may lie off its place
_LEAN_PX = 0.5  # by which the slices of a stack may be shifted against each other; more is a tilted gantry
_ROUNDED = 1e-3  # rad; directions that are rounded to three digits seem to lean by less
_MOST = 1_000_000  # slices that may be missing; more is a wrong position


@dataclass(frozen=True)
class Grid:
    """What is wrong with the positions of the slices of a stack.

    Attributes:
        missing: for each gap in an otherwise regular stack, the index of the slice before it and the number of slices
            that would fill it.
        irregular: what else is wrong, as a clause; empty if nothing.
    """

    missing: tuple[tuple[int, int], ...] = ()
    irregular: str = ""

    @property
    def lacks(self) -> int:
        """Number of missing slices."""
        return sum(count for _, count in self.missing)


def grid_of(
    positions_mm: NDArray[np.float64], sides: NDArray[np.float64], spacing_mm: Sequence[float], declared_mm: float = 0.0
) -> Grid:
    """Check the positions of slices in order.

    Args:
        positions_mm: `(N, 3)` centre of the first pixel of each slice.
        sides: `(6,)` direction cosines of rows and columns.
        spacing_mm: distance between rows and between columns.
        declared_mm: distance between slices by their headers and numbers; 0 if unknown.
    """
    if len(positions_mm) < 2:
        return Grid()
    normal = np.cross(sides[:3], sides[3:])
    relative = positions_mm - positions_mm[0]
    heights = relative @ normal
    lean = np.linalg.norm(relative - heights[:, None] * normal, axis=1).max()
    if lean > max(_LEAN_PX * min(spacing_mm), _ROUNDED * float(np.ptp(heights))):
        return Grid(irregular="its slices are shifted against each other, as with a tilted gantry")
    gaps = np.diff(heights)
    unit = _unit(gaps, declared_mm)
    if unit is None:
        return Grid(irregular=f"the distances between its slices differ ({gaps.min():.4g} to {gaps.max():.4g} mm)")
    steps = np.round(gaps / unit)
    if steps.sum() > _MOST:
        return Grid(irregular="the distances between its slices differ")
    places = np.concatenate([[0], np.cumsum(steps)])
    slope, start = np.polyfit(places, heights, 1)
    if np.abs(places * slope + start - heights).max() > _OFF * abs(slope):
        return Grid(irregular=f"the distances between its slices differ ({gaps.min():.4g} to {gaps.max():.4g} mm)")
    return Grid(tuple((int(i), int(steps[i]) - 1) for i in np.flatnonzero(steps > 1)))


def distance_mm(positions_mm: NDArray[np.float64], sides: NDArray[np.float64]) -> float:
    """Return the distance between slices along their normal; 0 if they are not at equal distances in this order.

    Args:
        positions_mm: `(N, 3)` centre of the first pixel of each slice.
        sides: `(6,)` direction cosines of rows and columns.
    """
    count = len(positions_mm)
    heights = (positions_mm - positions_mm[0]) @ np.cross(sides[:3], sides[3:])
    step = heights[-1] / max(1, count - 1)
    even = bool(np.abs(heights - step * np.arange(count)).max() <= _OFF * abs(step))
    return abs(float(step)) if even and count > 1 else 0.0


def _unit(gaps: NDArray[np.float64], declared_mm: float) -> float | None:
    """Return the distance between slices: the one of which all others are multiples; None if there is none."""
    middle = float(np.median(gaps))
    near = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    for unit in (declared_mm, middle, near):
        if unit >= _OFF * middle and np.abs(gaps / unit - np.maximum(1, np.round(gaps / unit))).max() <= 2 * _OFF:
            return unit
    return None
