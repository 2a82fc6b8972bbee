"""How deep pixels lie in the core of objects, as ONNX operators: `separate._depth` and `separate._peaks`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from seg_runtime.answers import DEPTH_STEPS, SMOOTH_PX

from ..builder import BOOL, DOUBLE, FLOAT, INT32, INT64, Builder
from .components import after, first_of_runs, numbered, places

_FAR = 32_000  # px, more than any distance; 2 * _FAR**2 is an int32
_ROWS = 32  # to smooth at once, so that float64 copies stay small
_REACH = int(4 * SMOOTH_PX + 0.5)  # of the Gaussian in px


@dataclass(frozen=True)
class Image:
    """Names of the lengths of an image, int64 scalars. See `components` for flat images.

    Attributes:
        rows: H.
        columns: W.
        stride: W + 2, of the rows with the frame.
        framed: `(2,)`, the shape with the frame.
        inside: `(n,)` bool, the pixels that do not belong to the frame.
    """

    rows: str
    columns: str
    stride: str
    framed: str
    inside: str

    def unframed(self, b: Builder, flat: str) -> str:
        """Reshape `(n,)` to `(H, W)`."""
        return b("Slice", b("Reshape", flat, self.framed), b.ints(1, 1), b.ints(-1, -1), b.ints(0, 1))

    def flat(self, b: Builder, values: str) -> str:
        """Reshape `(H, W)` to `(n,)`, with 0 in the frame."""
        return b("Reshape", b("Pad", values, b.ints(1, 1, 1, 1)), b.ints(-1))


def depth(b: Builder, core: str, image: Image) -> str:
    """Compute the distance to the edge of the core, smoothed, in steps of 1 / `DEPTH_STEPS` px; 0 outside: `(H, W)` float32."""
    distances = b("Sqrt", b.cast(image.unframed(b, _squared(b, core, image)), FLOAT))
    steps = b("Round", b("Mul", _smooth(b, distances, image), b.const(DEPTH_STEPS, np.float32)))
    return b("Where", image.unframed(b, core), steps, b.const(0, np.float32))


def peaks(b: Builder, height: str, image: Image) -> str:
    """Mark pixels `(n,)` that are as high as all their neighbours, given `(H, W)` float32."""
    pooled = b("MaxPool", b("Unsqueeze", height, b.ints(0, 1)), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    highest = b("Squeeze", pooled, b.ints(0, 1))
    found = b("And", b("Greater", height, b.const(0, np.float32)), b("Equal", height, highest))
    return image.flat(b, found)


def _squared(b: Builder, core: str, image: Image) -> str:
    """Squares of the distances in px to the next pixel of the image that is not of the core, `(n,)` int32.

    Felzenszwalb and Huttenlocher 2012 (Theory of Computing 8, 415-428) show that rows and columns may follow each other. A
    turn compares with pixels one px further up and down, where one of these may still be nearer.
    """
    spots = places(b, core)
    across = _across(b, core, spots, image)
    outside = b("Where", image.inside, b.const(0, np.int32), b.const(_FAR**2, np.int32))
    rows = b("ScatterElements", outside, spots, across, axis=0)
    last = b("Sub", b.size(core, 0), b.integer(1))
    body = Builder(b.name())
    old, near, turn = body.given("best"), body.given("near"), body("Add", body.turn, body.integer(1))
    place, away = body("Gather", spots, near), body("Mul", turn, image.stride)
    up = body("Gather", rows, body("Max", body("Sub", place, away), body.integer(0)))
    down = body("Gather", rows, body("Min", body("Add", place, away), last))
    column = body.cast(body("Mul", turn, turn), INT32)
    best = body("Min", body("Gather", old, near), body("Add", body("Min", up, down), column))
    beyond = body("Add", turn, body.integer(1))
    further = body("Greater", best, body.cast(body("Mul", beyond, beyond), INT32))
    ends = {
        "best": body("ScatterElements", old, near, best, axis=0),
        "near": body("Compress", near, further, axis=0),
    }
    on = body("And", body.cast(body.size(ends["near"], 0), BOOL), body("Less", beyond, image.rows))
    first = places(b, b("Greater", across, b.const(1, np.int32)))
    begin = b("And", b.cast(b.size(first, 0), BOOL), b("Greater", image.rows, b.integer(1)))
    values = {"best": (across, INT32, 1), "near": (first, INT64, 1)}
    squares = b.repeat(values, body, ends, (begin, on))["best"]
    return b("ScatterElements", rows, spots, squares, axis=0)


def _across(b: Builder, core: str, spots: str, image: Image) -> str:
    """Squares of the distances along the row for each pixel of the core, int32; `_FAR` where its row has none."""
    one, false = b.integer(1), b.const([False], np.bool_)
    starts = first_of_runs(b, core)
    run = b("Sub", b("Gather", numbered(b, starts), spots), b.const(1, np.int32))
    edges = [
        b("Sub", places(b, starts), one),
        b("Add", places(b, b("And", core, b("Not", after(b, core, false)))), one),
    ]
    sides = []
    for edge in edges:
        known = b("Gather", b("Gather", image.inside, edge), run)
        away = b("Abs", b("Sub", spots, b("Gather", edge, run)))
        # ONNX Runtime 1.30 compares only 32 bits of int64 in Min, so no number here may be longer
        sides.append(b("Min", b("Where", known, away, b.integer(_FAR)), b.integer(_FAR)))
    nearest = b.cast(b("Min", *sides), INT32)
    return b("Mul", nearest, nearest)


def _smooth(b: Builder, values: str, image: Image) -> str:
    """`scipy.ndimage.gaussian_filter` of `(H, W)` float32, with the same roundings: float64 sums along each axis."""
    body = Builder(b.name())
    top = body("Mul", body.turn, body.integer(_ROWS))
    block = body("Gather", values, _mirrored(body, top, body.integer(_ROWS), image.rows), axis=0)
    block = _blurred(body, block, 0, body.integer(_ROWS))
    block = body("Gather", block, _mirrored(body, body.integer(0), image.columns, image.columns), axis=1)
    block = _blurred(body, block, 1, image.columns)
    turns = b("Div", b("Add", image.rows, b.integer(_ROWS - 1)), b.integer(_ROWS))
    stack = b.loop(turns, body, [(block, FLOAT, 2)])[0]
    whole = b("Reshape", stack, b("Concat", b.ints(-1), b("Unsqueeze", image.columns, b.ints(0)), axis=0))
    return b.slice(whole, b.integer(0), image.rows, 0)


def _mirrored(b: Builder, first: str, length: str, size: str) -> str:
    """Indices from `_REACH` before the first one to `_REACH` beyond the last one, mirrored at edges: … 1 0 0 1 …"""
    start = b("Sub", first, b.integer(_REACH))
    end = b("Add", b("Add", start, length), b.integer(2 * _REACH))
    period = b("Mul", size, b.integer(2))
    index = b("Mod", b("Range", start, end, b.integer(1)), period)
    return b("Min", index, b("Sub", b("Sub", period, index), b.integer(1)))


def _blurred(b: Builder, values: str, axis: int, length: str) -> str:
    """Weighted sums along an axis, `_REACH` shorter at each end."""
    shares = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / SMOOTH_PX) ** 2)
    shares = (shares / shares.sum())[_REACH:]
    wide = b.cast(values, DOUBLE)

    def moved(by: int) -> str:
        start = b.integer(_REACH + by)
        return b.slice(wide, start, b("Add", start, length), axis)

    total = b("Mul", moved(0), b.double(shares[0]))
    for by in range(_REACH, 0, -1):
        total = b("Add", total, b("Mul", b("Add", moved(-by), moved(by)), b.double(shares[by])))
    return b.cast(total, FLOAT)
