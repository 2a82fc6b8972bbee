"""Connected components of masks as ONNX operators, by runs: the pixels of a row that lie side by side.

An image is flat, `(n,)`, with one column and two rows of background around it, so that a pixel of an object has a
neighbour on each side: at -1, +1, -stride and +stride. Runs are joined, not pixels, because they are far fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..builder import BOOL, INT32, INT64, Builder

END = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Components:
    """Names of the connected components of a mask. Pixels are connected by sides. Run 0 is none.

    Attributes:
        run: `(n,)` int32, number of the run of each pixel of the mask, from 1 in the order of the pixels.
        first: `(r + 1,)` int64, first pixel of each run.
        root: `(r + 1,)` int64, the first run of the component of each run.
    """

    run: str
    first: str
    root: str


def before(b: Builder, values: str, fill: str) -> str:
    """The value before each one, and `fill` `(1,)` before the first."""
    return b("Concat", fill, b("Slice", values, b.ints(0), b.ints(-1), b.ints(0)), axis=0)


def after(b: Builder, values: str, fill: str) -> str:
    """The value after each one, and `fill` `(1,)` after the last."""
    return b("Concat", b("Slice", values, b.ints(1), b.ints(END), b.ints(0)), fill, axis=0)


def neighbours(b: Builder, stride: str) -> tuple[str, str, str, str]:
    """Steps from a pixel to its neighbours, int64 scalars."""
    one = b.integer(1)
    return b("Neg", stride), b("Neg", one), one, stride


def places(b: Builder, mask: str) -> str:
    """Indices of what is true in `(n,)`, int64."""
    return b("Squeeze", b("NonZero", mask), b.ints(0))


def first_of_runs(b: Builder, mask: str) -> str:
    """Where a run of a mask `(n,)` begins."""
    return b("And", mask, b("Not", before(b, mask, b.const([False], np.bool_))))


def numbered(b: Builder, mask: str) -> str:
    """Number of true values up to each one, `(n,)` int32."""
    return b("CumSum", b.cast(mask, INT32), b.integer(0))


def any_of(b: Builder, mask: str) -> str:
    """Whether any value of `(n,)` is true, bool scalar; false if there is none."""
    return b.cast(b("ReduceSum", b.cast(mask, INT64), b.ints(0), keepdims=0), BOOL)


def components(b: Builder, mask: str, stride: str) -> Components:
    """Find the connected components of a flat mask."""
    starts = first_of_runs(b, mask)
    run = numbered(b, starts)
    first = b("Concat", b.ints(0), places(b, starts), axis=0)
    upper = b("Slice", mask, b.ints(0), b("Neg", b("Unsqueeze", stride, b.ints(0))), b.ints(0))
    lower = b("Slice", mask, b("Unsqueeze", stride, b.ints(0)), b.ints(END), b.ints(0))
    touching = places(b, first_of_runs(b, b("And", upper, lower)))  # one for each pair of runs
    sides = (touching, b("Add", touching, stride))
    pairs = [b("Concat", b.ints(0), b.cast(b("Gather", run, side), INT64), axis=0) for side in sides]
    return Components(run, first, joined(b, b.size(first, 0), pairs[0], pairs[1]))


def joined(b: Builder, count: str, some: str, others: str) -> str:
    """Lowest number that each of the numbers below `count` is joined to by pairs, `(count,)` int64.

    Each turn gives the numbers of both sides, and those that they point to, the lower of both, as in FastSV (Zhang,
    Azad and Hu 2020, SIAM Conference on Parallel Processing 46-57), so that few turns are needed.
    """
    body = Builder(b.name())
    old = body.given("low")
    left, right = (body("Gather", old, side) for side in (some, others))
    lower = body("Min", left, right)
    low = old
    for target in (left, right, some, others):
        low = body("ScatterElements", low, target, lower, axis=0, reduction="min")
    for _ in range(2):
        low = body("Gather", low, low)
    on = any_of(body, body("Not", body("Equal", low, old)))
    true = b.const(True, np.bool_)
    return b.repeat({"low": (b.count(count), INT64, 1)}, body, {"low": low}, (true, on))["low"]
