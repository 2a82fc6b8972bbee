"""A seeded watershed as ONNX operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..builder import BOOL, INT32, INT64, Builder
from .components import END, neighbours, numbered, places

_OUTSIDE = -1  # not an id, and not free


def flooded(b: Builder, area: str, ids: str, height: str, stride: str) -> str:
    """Grow ids over an area, from high to low; they meet in valleys. See `components` for flat images.

    Pixels whose neighbours may be free wait until the water falls to their height. Then they give their ids to their free
    neighbours, which follow in the next turn if they are as high or higher, and otherwise wait. The oldest come first, as in
    the queue of scikit-image's `watershed`. Results differ only where pixels of several seeds are equally high: these have no
    age, so there the queue has an order of its own, and here the first pixel of the image comes first.

    Args:
        area: `(n,)` bool, the pixels to grow over, and those with ids beside them.
        ids: `(n,)` int32, from 1; 0 for free pixels.
        height: `(n,)` int32.
        stride: distance of pixels in neighbouring rows, int64 scalar.

    Returns:
        `(n,)` int32 ids, also of the area.
    """
    spots = places(b, area)  # the area in a row, from 1; 0 is what lies outside of it
    spot = b("Where", area, numbered(b, area), b.const(0, np.int32))
    place = b("Concat", b.ints(0), spots, axis=0)
    own = b("Gather", ids, spots)
    heights = b("Gather", height, place)
    depth = b("Sub", b("ReduceMax", heights, b.ints(0), keepdims=0), heights)
    flood = _Flood(place, spot, depth, b.shape(*neighbours(b, stride)))
    seeded = places(b, b("Greater", own, b.const(0, np.int32)))
    waiting = b("Add", seeded, b.integer(1))
    values = {
        "ids": (b("Concat", b.const([_OUTSIDE], np.int32), own, axis=0), INT32, 1),
        "waiting": (waiting, INT64, 1),
        "water": (b.const(0, np.int32), INT32, 0),
    }
    body = Builder(b.name())
    ends = _fall(body, flood)
    begin, on = (_any(builder, v) for builder, v in ((b, waiting), (body, ends["waiting"])))
    last = b.repeat(values, body, ends, (begin, on))["ids"]
    return b("ScatterElements", ids, spots, b("Slice", last, b.ints(1), b.ints(END), b.ints(0)), axis=0)


@dataclass(frozen=True)
class _Flood:
    """Names of what does not change while the water falls. Spot 0 is outside of the area.

    Attributes:
        place: `(m + 1,)` int64, the pixel of each spot.
        spot: `(n,)` int32, the spot of each pixel.
        depth: `(m + 1,)` int32, how far each spot is below the greatest height.
        steps: `(4,)` int64, from a pixel to its neighbours.
    """

    place: str
    spot: str
    depth: str
    steps: str


def _fall(b: Builder, flood: _Flood) -> dict[str, str]:
    """Add one fall of the water to the highest spot that waits, with all turns that follow."""
    waiting = b.given("waiting")
    depths = b("Gather", flood.depth, waiting)
    water = b("Max", b.given("water"), b("ReduceMin", depths, b.ints(0), keepdims=0))
    front, others = _parted(b, waiting, depths, water)
    body = Builder(b.name())
    ends = _turn(body, flood, water)
    values = {"ids": (b.given("ids"), INT32, 1), "front": (front, INT64, 1), "waiting": (others, INT64, 1)}
    last = b.repeat(values, body, ends, (b.const(True, np.bool_), _any(body, ends["front"])))
    return {"ids": last["ids"], "waiting": last["waiting"], "water": water}


def _turn(b: Builder, flood: _Flood, water: str) -> dict[str, str]:
    """Add one turn, in which the spots of the front give their ids to their free neighbours, each the first one."""
    ids, front = b.given("ids"), b.given("front")
    beside = b("Add", b.column(b("Gather", flood.place, front)), flood.steps)  # (front, 4)
    spots = b.cast(b("Gather", flood.spot, b("Reshape", beside, b.ints(-1))), INT64)
    free = b("Equal", b("Gather", ids, spots), b.const(0, np.int32))
    givers = b("Expand", b.column(b("Gather", ids, front)), b("Shape", beside))
    given = b("Compress", b("Reshape", givers, b.ints(-1)), free, axis=0)
    taken, first = b.name(), b.name()
    b.node("Unique", [b("Compress", spots, free, axis=0)], [taken, first], sorted=0)
    later = b("ScatterElements", ids, taken, b("Gather", given, first), axis=0)
    following, others = _parted(b, taken, b("Gather", flood.depth, taken), water)
    return {"ids": later, "front": following, "waiting": b("Concat", b.given("waiting"), others, axis=0)}


def _parted(b: Builder, spots: str, depths: str, water: str) -> tuple[str, str]:
    """Spots that are not below the water, and the others."""
    above = b("LessOrEqual", depths, water)
    return b("Compress", spots, above, axis=0), b("Compress", spots, b("Not", above), axis=0)


def _any(b: Builder, values: str) -> str:
    return b.cast(b.size(values, 0), BOOL)
