"""The size of a pixel or voxel as a file states it."""

from __future__ import annotations

import math
from typing import NamedTuple

from ..support import described_size, is_pixel_size


class Scale(NamedTuple):
    """The size of a pixel.

    Attributes:
        spacing_mm: distance between pixels along each spatial axis, `(rows, columns)` or `(slices, rows, columns)`;
            empty if unknown.
        doubt: why what the file states is no measurement, such as "72 dpi, as programs write without measuring"; empty
            if it states a measurement, or nothing.
    """

    spacing_mm: tuple[float, ...] = ()
    doubt: str = ""


def scale_of(*sides_mm: float) -> Scale:
    """Return the scale of sides in mm, unknown with the reason if one is absurd."""
    if is_pixel_size(*sides_mm):
        return Scale(tuple(sides_mm))
    if any(math.isfinite(side) and side > 0 for side in sides_mm):
        return Scale(doubt=f"a pixel of {described_size(sides_mm)}, which cannot be")
    return Scale()
