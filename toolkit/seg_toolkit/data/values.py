"""Values of masks: integers, or colours of masks in which each class has one colour."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

RGB = tuple[int, int, int]
_COLOUR = 1 << 32
"""A colour is stored as this number plus 0xRRGGBB, which no mask of numbers contains."""
_MOST = 1 << 16  # values of a range
_PART = re.compile(r"(?P<first>-?\d+)(?:-(?P<last>\d+))?|#(?P<colour>[0-9a-fA-F]{6}|[0-9a-fA-F]{3})")


def of_colours(pixels: NDArray[Any]) -> NDArray[np.int64]:
    """Convert colours `(…, 3)`, each 0..255, to values `(…)` int64."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return np.asarray(_COLOUR + (red << 16) + (green << 8) + blue)


def of_colour(colour: RGB) -> int:
    """Value of a colour."""
    return int(of_colours(np.array(colour)))


def colour_of(value: int) -> RGB | None:
    """Return the colour of a value; None if the value is a number."""
    if value < _COLOUR:
        return None
    return (value >> 16) & 255, (value >> 8) & 255, value & 255


def shown(value: int) -> str:
    """Format a value for the user: 255, or #ff8800."""
    return str(value) if value < _COLOUR else f"#{value - _COLOUR:06x}"


def listed(values: Iterable[int]) -> str:
    """Format values in the form of `--classes`: 0-127+255, or #ff8800+#ff0000."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1 and value < _COLOUR and value > 0:
            runs[-1][1:] = [value]
        else:
            runs.append([value])
    return "+".join("-".join(map(str, run)) if len(run) > 1 else shown(run[0]) for run in runs)


def parse_values(text: str) -> tuple[int, ...]:
    """Parse values such as `255`, `0+32+64`, `0-127` or `#ff8800+#ff0000`.

    Raises:
        ValueError: if the text has another form, or a range is empty or too long.
    """
    found: list[int] = []
    for part in text.split("+"):
        if (match := _PART.fullmatch(part.strip())) is None:
            raise ValueError(f"{part!r} is not a value")
        if match["colour"]:
            red, green, blue = ImageColor.getrgb(f"#{match['colour']}")[:3]
            found.append(of_colour((red, green, blue)))
            continue
        first = int(match["first"])
        last = int(match["last"] or first)
        if not 0 <= last - first < _MOST or (match["last"] and first < 0):
            raise ValueError(f"{part!r} is not a range")
        found.extend(range(first, last + 1))
    return tuple(found)
