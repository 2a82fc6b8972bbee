"""Basins of a watershed joined over high necks, as ONNX operators: `separate._joined`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from seg_runtime.answers import DEPTH_STEPS

from ..builder import INT32, INT64, Builder
from .components import END, any_of, joined, places

_NONE = -1  # lower than any neck


def joined_basins(b: Builder, basins: str, height: str, peak_px: float, count: str, stride: str) -> str:
    """Join basins whose lower peak rises less than `peak_px` above the neck between them.

    The runtime takes one neck after the other, the highest first. Here, each basin that rises too little above its highest
    neck is joined there, all in one turn, until none is left. That gives the same basins: when the runtime comes to the
    highest neck of a basin, the basin is still alone, so it is joined there if it rises too little; and if none of two basins
    rises too little above its highest neck, neither does above their own.

    Args:
        basins: `(n,)` int32, ids below `count`; 0 for none. See `components` for flat images.
        height: `(n,)` int32.
        peak_px: least rise, more than 0.
        count: int64 scalar.
        stride: distance of pixels in neighbouring rows, int64 scalar.

    Returns:
        `(count,)` int64, an id for each basin, which joined basins share.
    """
    edges = _edges(b, basins, height, count, stride)
    spots = places(b, b("Greater", basins, b.const(0, np.int32)))
    owners, heights = b.cast(b("Gather", basins, spots), INT64), b("Gather", height, spots)
    none = b("Expand", b.const([_NONE], np.int32), b("Unsqueeze", count, b.ints(0)))
    tops = b("ScatterElements", none, owners, heights, axis=0, reduction="max")
    body = Builder(b.name())
    ends, on = _turn(body, edges, none, math.ceil(peak_px * DEPTH_STEPS))
    values = {"names": (b.count(count), INT64, 1), "tops": (tops, INT32, 1)}
    return b.repeat(values, body, ends, (b.const(True, np.bool_), on))["names"]


@dataclass(frozen=True)
class _Edges:
    """Names of the edges `(e,)` between pixels of two basins.

    Attributes:
        sides: the basins on both sides, int64.
        neck: height of the lower pixel, int32.
        pair: both basins as one number, by which the runtime orders edges of equal height, int64.
        count: greater than all basins, int64 scalar.
    """

    sides: tuple[str, str]
    neck: str
    pair: str
    count: str


def _edges(b: Builder, basins: str, height: str, count: str, stride: str) -> _Edges:
    sides: list[tuple[str, str]] = []
    necks = []
    zero = b.const(0, np.int32)
    for step in (b.integer(1), stride):
        length = b("Sub", b.size(basins, 0), step)
        first, second = (
            b.slice(basins, b.integer(0), length, 0),
            b("Slice", basins, _axis(b, step), b.ints(END), b.ints(0)),
        )
        inside = b("And", b("Greater", first, zero), b("Greater", second, zero))
        meet = places(b, b("And", inside, b("Not", b("Equal", first, second))))
        both = (meet, b("Add", meet, step))
        sides.append((b("Gather", basins, both[0]), b("Gather", basins, both[1])))
        necks.append(b("Min", *(b("Gather", height, spots) for spots in both)))
    one, other = (b.cast(b("Concat", *values, axis=0), INT64) for values in zip(*sides, strict=True))
    pair = b("Add", b("Mul", b("Min", one, other), count), b("Max", one, other))
    return _Edges((one, other), b("Concat", *necks, axis=0), pair, count)


def _turn(b: Builder, edges: _Edges, none: str, least: int) -> tuple[dict[str, str], str]:
    """Join each basin that rises less than `least` above its highest neck; whether there was one."""
    names, tops, own = b.given("names"), b.given("tops"), b.count(edges.count)
    sides = [b("Gather", names, side) for side in edges.sides]
    apart = b("Not", b("Equal", *sides))
    neck = b("Where", apart, edges.neck, b.const(_NONE, np.int32))
    highest, first = none, b("Expand", b.ints(END), b("Shape", none))
    for side in sides:
        highest = b("ScatterElements", highest, side, neck, axis=0, reduction="max")
    for side in sides:
        chosen = b("And", apart, b("Equal", neck, b("Gather", highest, side)))
        pair = b("Where", chosen, edges.pair, b.integer(END))
        first = b("ScatterElements", first, side, pair, axis=0, reduction="min")
    low = b("Less", b("Sub", tops, highest), b.const(least, np.int32))
    joins = b("And", low, b("GreaterOrEqual", highest, b.const(0, np.int32)))
    pair = b("Where", joins, first, b.integer(0))
    ends = [b("Gather", names, b(op, pair, edges.count)) for op in ("Div", "Mod")]
    partner = b("Where", joins, b("Sub", b("Add", *ends), own), own)
    new = joined(b, edges.count, own, partner)
    top = b("ScatterElements", tops, new, tops, axis=0, reduction="max")
    return {"names": b("Gather", new, names), "tops": top}, any_of(b, joins)


def _axis(b: Builder, length: str) -> str:
    return b("Unsqueeze", length, b.ints(0))
