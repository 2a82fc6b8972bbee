"""Classes of a data set: their names, colours and mask values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from seg_runtime.model import ClassInfo
from seg_runtime.support import DataError, OptionsError

from .values import colour_of, listed, of_colour, parse_values, shown

_BACKGROUND = (0, 0, 0)
_BACKGROUND_NAMES = ("background", "bg")
_COLORS = (  # the palette of Okabe and Ito, which colour-blind readers can distinguish
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
_MOST_CLASSES = 256
_VOID = 255  # marks pixels without annotation in Pascal VOC, Cityscapes and many others
_FORM = "NAME=VALUE[+VALUE…][#RRGGBB],… such as background=0,cell=255, 0-127 for a range, or #RRGGBB for a colour"


class UnknownValueError(DataError):
    """A mask contains a value that belongs to no class."""


@dataclass(frozen=True)
class ClassValues:
    """One class and its mask values."""

    info: ClassInfo
    values: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> tuple[ClassValues, ...]:
        """Parse classes such as `background=0,cell=255`, and put the background first, see `background_of`.

        Several values are written as `membrane=0+32+64`, a range as `background=0-127`, the colour in which a class is
        shown as `cell=255#ff8800`. In masks with a colour for each class, values are colours: `cell=#ff8800`.

        Raises:
            OptionsError: if the text has another form, repeats a value or name, or lists fewer than two classes.
        """
        parts = text.split(",")
        first = background_of([_parsed(1, part) for part in parts]) or 0
        parts.insert(0, parts.pop(first))
        found = [_parsed(index, part) for index, part in enumerate(parts)]
        given = (("value", [shown(v) for c in found for v in c.values]), ("name", [repr(c.info.name) for c in found]))
        for what, each in given:
            if twice := [one for one, count in Counter(each).items() if count > 1]:
                raise OptionsError(f"--classes repeats the {what} {twice[0]}", "", f"use each {what} once")
        if not 2 <= len(found) <= _MOST_CLASSES:
            problem = f"--classes lists {len(found)} classes"
            raise OptionsError(problem, f"2 to {_MOST_CLASSES}, with the background", "list all classes")
        return tuple(found)

    @classmethod
    def infer(cls, values: Mapping[int, str]) -> tuple[ClassValues, ...]:
        """Infer the classes from mask values: {0, 255}, or indices 0..K-1 without a gap.

        Args:
            values: each value that occurs in the masks, with a file that contains it.

        Raises:
            DataError: for any other set of values; the message contains a `--classes` option to use.
        """
        found = sorted(values, key=lambda value: (value < 0, abs(value)))  # the value of a ring is not the background
        if found in ([0, 255], [255], [0], [0, 1], [1]):
            numbers: tuple[int, ...] = (0, 255) if 255 in found else (0, 1)
            names: tuple[str, ...] = ("background", "foreground")
        elif found == list(range(len(found))) and len(found) <= _MOST_CLASSES:
            numbers = tuple(found)
            names = ("background", *(f"class{i}" for i in found[1:]))
        else:
            of: dict[str, list[str]] = {}
            for value in found[:12]:
                of.setdefault(Path(values[value]).name, []).append(str(value))
            where = "; ".join(f"{', '.join(some)} in {name}" for name, some in of.items())
            where += " …" if len(found) > 12 else ""
            expected = "0 and 255, or class indices from 0 without a gap"
            raise DataError(f"the masks contain the values {where}", expected, _advice(found))
        return cls.named({name: (number,) for name, number in zip(names, numbers, strict=True)})

    @classmethod
    def named(cls, values: Mapping[str, Sequence[int]]) -> tuple[ClassValues, ...]:
        """Make classes from the mask values of each name, the background first, in the default colours."""
        return tuple(
            cls(ClassInfo(name, _default_color(i)), tuple(numbers)) for i, (name, numbers) in enumerate(values.items())
        )


def background_of(classes: Sequence[ClassValues]) -> int | None:
    """Index of the background: the class of that name, else that with the value 0 or the colour black; None if unknown."""
    names = [entry.info.name.casefold() in _BACKGROUND_NAMES for entry in classes]
    black = [0 in entry.values or of_colour(_BACKGROUND) in entry.values for entry in classes]
    return next((tells.index(True) for tells in (names, black) if any(tells)), None)


def _advice(found: Sequence[int]) -> str:
    """What to do about values from which no classes follow, sorted with the background first."""
    if len(found) > _MOST_CLASSES:
        return "if they number objects, use --reader pairs:masks=instances"
    advice = f"correct the masks, or name all classes: --classes {proposed(found[:12])}"
    if found[-1] == _VOID and len(found) > 2 and found[:-1] == list(range(len(found) - 1)):
        return f"{advice}; if {_VOID} marks pixels that are not annotated, use --ignore-value {_VOID}"
    return f"{advice}; if they number objects, use --reader pairs:masks=instances"


def proposed(values: Sequence[int]) -> str:
    """Propose `--classes` for values, the background first."""
    names = ["background", "foreground"] if len(values) == 2 else [f"class{i}" for i in range(len(values))]
    return ",".join(
        f"{name if i else 'background'}={shown(v)}" for i, (name, v) in enumerate(zip(names, values, strict=True))
    )


def by_colour(classes: Sequence[ClassValues]) -> bool:
    """Whether the values of classes are colours."""
    return any(colour_of(value) for entry in classes for value in entry.values)


def _parsed(index: int, part: str) -> ClassValues:
    name, _, rest = part.strip().partition("=")
    match = re.fullmatch(r"(.*\d)(#[0-9a-fA-F]{3,6})", rest.rpartition("+")[2])
    color = match[2] if match and not rest.rpartition("+")[2].startswith("#") else ""
    try:
        values = parse_values(rest.removesuffix(color))
        rgb = ImageColor.getrgb(color)[:3] if color else colour_of(values[0]) or _default_color(index)
        if not name:
            raise ValueError("a class without a name")
    except ValueError as error:
        raise OptionsError(f"--classes has the entry {part!r}", _FORM, "correct the entry") from error
    return ClassValues(ClassInfo(name, (rgb[0], rgb[1], rgb[2])), values)


def _default_color(index: int) -> tuple[int, int, int]:
    """Colour of class `index`: black for the background, then a palette that repeats in darker colours."""
    if index == 0:
        return _BACKGROUND
    round_, place = divmod(index - 1, len(_COLORS))
    red, green, blue = (int(v * 0.7**round_) for v in _COLORS[place])
    return red, green, blue


def to_labels(mask: NDArray[Any], classes: Sequence[ClassValues], name: str) -> NDArray[np.uint8]:
    """Convert raw mask values `(*spatial)` of any integer dtype to class indices `(*spatial)` uint8.

    Raises:
        UnknownValueError: if a value belongs to no class; the message names the value and the file.
    """
    labels = np.full(mask.shape, -1, np.int16)
    for index, entry in enumerate(classes):
        labels[np.isin(mask, entry.values)] = index
    if (labels < 0).any():
        stray, count = np.unique(mask[labels < 0], return_counts=True)
        known = ", ".join(f"{c.info.name}={listed(c.values)}" for c in classes)
        problem = f"{name} contains the value {shown(int(stray[0]))} in {count[0]} px"
        advice = "correct the mask, or add the value to --classes; use --snap-values for a few stray pixels"
        raise UnknownValueError(problem, known, advice)
    return labels.astype(np.uint8)
