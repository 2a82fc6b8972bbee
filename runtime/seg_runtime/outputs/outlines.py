"""The outlines of objects along the edges of their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pipeline import Array
from ..support import require_extra

Ring = NDArray[np.int64]
"""`(n, 2)` corners x, y in px, without repeating the first one. The corner of the first pixel is (0, 0)."""
Piece = list[Ring]
"""The outline of a piece, then its holes, which run the other way round. No ring touches itself."""


class Region(NamedTuple):
    """The pixels of an object.

    Attributes:
        number: its id.
        top: first row.
        left: first column.
        mask: `(h, w)`, True for its pixels.
    """

    number: int
    top: int
    left: int
    mask: NDArray[np.bool_]

    def pieces(self) -> list[Piece]:
        """Return its outlines in the image; see `outlines`."""
        return [[ring + np.array((self.left, self.top)) for ring in piece] for piece in outlines(self.mask)]


def regions_of(ids: Array) -> Iterator[Region]:
    """Yield the objects of `(H, W)` ids in the order of their ids."""
    require_extra("objects", "skimage")
    from skimage.measure import regionprops

    for found in regionprops(ids):
        yield Region(int(found.label), int(found.bbox[0]), int(found.bbox[1]), found.image)


def outlines(mask: NDArray[np.bool_]) -> list[Piece]:
    """Return the outlines of the pieces of a mask. Pixels that only touch at a corner belong to different pieces.

    >>> [[ring.tolist() for ring in piece] for piece in outlines(np.array([[True, True]]))]
    [[[[0, 0], [2, 0], [2, 1], [0, 1]]]]

    Args:
        mask: `(H, W)`.
    """
    require_extra("objects", "skimage")
    from skimage.measure import label

    outer: dict[int, Piece] = {}
    holes: list[tuple[int, Ring]] = []
    for ring, owner in _rings(_corners_of(label(np.pad(mask, 1), connectivity=1))):
        if _turns(ring) > 0:
            outer[owner] = [ring]
        else:
            holes.append((owner, ring))
    for owner, ring in holes:
        outer[owner].append(ring)
    return [outer[owner] for owner in sorted(outer)]


class _Corners(NamedTuple):
    """The corners of outlines, and how they are joined. Where two pixels touch at a corner, each has one of its own.

    Attributes:
        points: `(n, 2)` x, y.
        owners: `(n,)` the piece of each.
        across: `(n,)` index of the corner at the other end of the horizontal edge.
        down: `(n,)` the same for the vertical edge.
        first: `(n,)` whether the horizontal edge is the one that has its piece on the right.
    """

    points: Ring
    owners: Array
    across: Array
    down: Array
    first: Array


def _corners_of(pieces: Array) -> _Corners:
    """Return all corners of `(H + 2, W + 2)` ids of pieces, which are 0 at the edges."""
    around = pieces[:-1, :-1], pieces[:-1, 1:], pieces[1:, :-1], pieces[1:, 1:]
    above_left, below_right = around[0] > 0, around[3] > 0
    count = np.add.reduce([part > 0 for part in around], dtype=np.int8)
    single = np.nonzero((count == 1) | (count == 3))
    double = np.nonzero((count == 2) & (above_left == below_right))
    falls = above_left[double]  # the pixels are those of \, else of /
    left = np.where(falls, around[0][double], around[2][double])
    right = np.where(falls, around[3][double], around[1][double])
    y, x = (np.concatenate([a, b, b]) for a, b in zip(single, double, strict=True))
    owners = np.concatenate([np.maximum.reduce([part[single] for part in around]), left, right])
    # At a double corner an edge of the left pixel ends, and one of the right pixel begins; the same up and down.
    one, two = (np.zeros(len(place[0]), bool) for place in (single, double))
    across = _pairs(y, x, np.concatenate([one, two, ~two]))
    down = _pairs(x, y, np.concatenate([one, ~falls, falls]))
    first = np.where(x[across] > x, below_right[y, x], above_left[y, x])
    return _Corners(np.stack([x, y], axis=1), owners, across, down, first)


def _pairs(line: Array, place: Array, rank: Array) -> Array:
    """Join the corners on each line two by two: an edge runs from the first to the second, from the third to the fourth."""
    order = np.lexsort((rank, place, line))
    other = np.empty(len(order), np.int64)
    other[order[0::2]], other[order[1::2]] = order[1::2], order[0::2]
    return other


def _rings(corners: _Corners) -> Iterator[tuple[Ring, int]]:
    """Follow the edges from corner to corner, with the piece on the right, and yield each ring with its piece. A ring that
    touches itself is divided there."""
    points = list(map(tuple, corners.points.tolist()))
    ways = corners.down.tolist(), corners.across.tolist()
    first, seen = corners.first.tolist(), bytearray(len(points))
    for start in range(len(points)):
        path: list[int] = []
        place: dict[tuple[int, ...], int] = {}
        here, way = start, first[start]
        while not seen[here]:
            seen[here] = 1
            if (before := place.get(points[here])) is not None:
                yield corners.points[path[before:]], int(corners.owners[start])
                for index in path[before:]:
                    del place[points[index]]
                del path[before:]
            place[points[here]] = len(path)
            path.append(here)
            here, way = ways[way][here], not way
        if path:
            yield corners.points[path], int(corners.owners[start])


def _turns(ring: Ring) -> int:
    """Return twice the area inside of a ring; positive if it runs clockwise on the screen."""
    x, y = ring.T
    return int(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1])
