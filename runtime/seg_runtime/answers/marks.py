"""Mark objects in a picture: outlines in colours that differ from those of their neighbours, and their numbers."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..pipeline import Array

COLORS = np.array(
    [(255, 225, 25), (70, 240, 240), (240, 50, 230), (60, 220, 75), (255, 140, 30), (90, 150, 255), (255, 70, 70)],
    np.uint8,
)
"""Colours of outlines, which show on dark and on bright images."""
REACH = 4  # px between objects that count as neighbours
_SIZES = (18, 13, 9)  # px of the letters
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def outline_objects(picture: NDArray[np.uint8], ids: Array) -> None:
    """Draw the outline of each object on its own pixels, one pixel wide.

    Args:
        picture: `(H, W, 3)` uint8, which is changed.
        ids: `(H, W)` ids, 0 for none.
    """
    edge = np.zeros(ids.shape, bool)
    across, down = ids[:, :-1] != ids[:, 1:], ids[:-1] != ids[1:]
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    edge[:-1] |= down
    edge[1:] |= down
    edge &= ids > 0
    picture[edge] = COLORS[colors_apart(ids)[ids[edge]]]


def colors_apart(ids: Array) -> NDArray[np.intp]:
    """Return an index into `COLORS` for each id from 0: objects that are near each other differ, as far as colours last.

    >>> colors_apart(np.array([[1, 0, 2, 3]])).tolist()
    [0, 1, 2, 3]
    """
    count = int(ids.max(initial=0)) + 1
    near = defaultdict(list)
    for low, high in _neighbours(ids, count).tolist():
        near[high].append(low)
    found = np.arange(count) % len(COLORS)
    for number in sorted(near):  # those with lower ids have their colours already
        taken = set(found[near[number]].tolist())
        free = [c for c in range(len(COLORS)) if (number + c) % len(COLORS) not in taken]
        found[number] = (number + (free[0] if free else 0)) % len(COLORS)
    return found


def _neighbours(ids: Array, count: int) -> NDArray[np.int64]:
    """Return pairs `(n, 2)` of ids, the lower one first, that are at most `REACH` px apart along an axis."""
    keys = [np.empty(0, np.int64)]
    for step in range(1, REACH + 1):
        for one, other in ((ids[:, :-step], ids[:, step:]), (ids[:-step], ids[step:])):
            pair = (one != other) & (one > 0) & (other > 0)
            some, rest = one[pair].astype(np.int64), other[pair].astype(np.int64)
            keys.append(np.unique(np.minimum(some, rest) * count + np.maximum(some, rest)))
    return np.stack(np.divmod(np.unique(np.concatenate(keys)), count), axis=1)


def number_objects(picture: Image.Image, ids: Array) -> None:
    """Write the id of each object on it, as large as fits inside of it; small objects get none.

    Args:
        picture: the picture, which is changed.
        ids: `(H, W)` ids, 0 for none.
    """
    draw = ImageDraw.Draw(picture)
    fonts = [ImageFont.load_default(size) for size in _SIZES]
    for number, row, column in _centres(ids):
        for size, font in zip(_SIZES, fonts, strict=True):
            width, height = round(font.getlength(str(number))) + 1, round(0.8 * size)  # digits have no descenders
            top, left = row - height // 2, column - width // 2
            box = ids[max(0, top) : top + height, max(0, left) : left + width]
            if box.shape == (height, width) and (box == number).all():
                place = (left + width / 2, top + height / 2)
                draw.text(place, str(number), _WHITE, font, anchor="mm", stroke_width=1, stroke_fill=_BLACK)
                break


def _centres(ids: Array) -> list[tuple[int, int, int]]:
    """Return id, row and column of the centre of each object that a number may fit into."""
    rows, columns = np.nonzero(ids)
    owners = ids[rows, columns]
    areas = np.bincount(owners)
    numbers = np.flatnonzero(areas >= 6 * _SIZES[-1])
    means = [(np.bincount(owners, part)[numbers] / areas[numbers]).astype(int).tolist() for part in (rows, columns)]
    return list(zip(numbers.tolist(), *means, strict=True))
