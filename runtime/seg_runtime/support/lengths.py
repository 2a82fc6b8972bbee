"""Lengths with their units, such as the size of a pixel."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from .errors import OptionsError

INCH_MM = 25.4
_MM = {
    "m": 1e3, "dm": 1e2, "cm": 10.0, "mm": 1.0, "um": 1e-3, "nm": 1e-6, "pm": 1e-9, "a": 1e-7, "angstrom": 1e-7,
    "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "micrometers": 1e-3, "micrometre": 1e-3, "nanometer": 1e-6,
    "millimeter": 1.0, "centimeter": 10.0, "meter": 1e3, "inch": INCH_MM, "in": INCH_MM, "inches": INCH_MM,
}  # fmt: skip
"""mm of a unit of length, by its name in lower case, with u for µ and a for Å."""
_SIZE = re.compile(r"(?P<numbers>[-+\d.,ex×\s]*?\d\.?)\s*(?P<unit>[a-zµμåÅ]+)", re.IGNORECASE)
FINEST_MM, COARSEST_MM = 1e-8, 1e3  # a tenth of an atom, and a metre


def millimetres(unit: str) -> float | None:
    """Return the mm of a unit of length by its name, such as `µm`; None for another unit, such as `pixel`."""
    plain = (
        unit.strip().strip("\0").lower().replace("\\u00b5", "u").replace("µ", "u").replace("μ", "u").replace("å", "a")
    )
    return _MM.get(plain)


def is_pixel_size(*sides_mm: float) -> bool:
    """Return whether a pixel can have these sides."""
    return all(math.isfinite(side) and FINEST_MM <= side <= COARSEST_MM for side in sides_mm)


def parse_pixel_size(text: str) -> tuple[float, ...]:
    """Return the sides of a pixel or voxel in mm, one or one for each axis, from `0.325um` or `2x0.5x0.5mm`.

    Raises:
        OptionsError: it is no size, has no unit of length, or is absurd.
    """
    expected, advice = "numbers with a unit of length, such as 0.325um or 2x0.5x0.5mm", "see --help"
    found = _SIZE.fullmatch(text.strip())
    unit_mm = millimetres(found["unit"]) if found else None
    if found and "," in found["numbers"]:  # a decimal in some countries, and a separator in others
        advice = "write 1.5um for a decimal fraction, or 1x5um for two sides"
        raise OptionsError(f"--pixel-size is {text!r}, with a comma", expected, advice)
    try:
        sides = tuple(float(number) for number in re.split("[x×]", found["numbers"])) if found else ()
    except ValueError:
        sides = ()
    if unit_mm is None or not 1 <= len(sides) <= 3:
        raise OptionsError(f"--pixel-size is {text!r}", expected, advice)
    sides = tuple(side * unit_mm for side in sides)
    if not is_pixel_size(*sides):
        raise OptionsError(f"--pixel-size is {text!r}, which cannot be", expected, "check the number and its unit")
    return sides


def described_length(mm: float) -> str:
    """Return a length in the unit that suits it, such as "0.25 µm".

    >>> described_length(0.00025), described_length(0.7)
    ('0.25 µm', '0.7 mm')
    """
    units = (("mm", 1.0, 0.1), ("µm", 1e-3, 1e-4), ("nm", 1e-6, 1e-6), ("Å", 1e-7, 0.0))
    unit, size = next((unit, size) for unit, size, least in units if not abs(mm) < 0.999 * least)
    return f"{mm / size:.4g} {unit}"


def described_size(sides_mm: Sequence[float]) -> str:
    """Return the sides of a pixel or voxel, one if all are equal.

    >>> described_size((0.002, 0.0005, 0.0005)), described_size((0.7, 0.7))
    ('2 µm × 0.5 µm × 0.5 µm', '0.7 mm')
    """
    sides = [described_length(side) for side in sides_mm]
    return " × ".join(sides if len(set(sides)) > 1 else sides[:1])
