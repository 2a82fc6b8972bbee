"""The runtime's way of an image as ONNX operators; each function mirrors the one of seg_runtime that its docstring names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from seg_runtime.answers import Labels
from seg_runtime.model.contract import Contract
from seg_runtime.model.input import Intensity
from seg_runtime.pipeline import preprocess

from .builder import DOUBLE, FLOAT, INT64, UINT8, Builder

BLOCK = 256  # rows at a time, where all of the image in wide numbers would need much memory


def framed_shape(b: Builder, height: str, width: str, contract: Contract) -> tuple[str, str]:
    """`geometry.framed_shape`: int64 scalars."""
    if contract.geometry.method == "tile":
        return height, width
    if contract.geometry.method == "stretch":
        rows, columns = contract.geometry.input_shape
        return b.integer(rows), b.integer(columns)
    sizes = [b.cast(n, DOUBLE) for n in (height, width)]
    factor = b("Min", *(b("Div", b.double(o), n) for o, n in zip(contract.geometry.output_shape, sizes, strict=True)))
    rounded = [b.cast(b("Round", b("Mul", n, factor)), INT64) for n in sizes]
    bounded = [
        b("Min", b.integer(o), b("Max", b.integer(1), n))
        for o, n in zip(contract.geometry.output_shape, rounded, strict=True)
    ]
    return bounded[0], bounded[1]


def normaliser(b: Builder, image: str, intensity: Intensity, dtype: str) -> tuple[str, str, bool]:
    """`preprocess.normaliser`: shift and factor per channel, float32, of the image that the network sees, and whether to clip."""
    if intensity.method != "zscore":  # no pixel counts but its dtype
        known = preprocess.normaliser(np.empty((0, 0, 1), dtype), intensity)
        return b.const(known.shift, np.float32), b.const(known.factor, np.float32), known.clip
    mean, std = _mean_std(b, image, dtype)
    unit = b.double(preprocess.dtype_maximum(np.dtype(dtype)))
    shift = b("Mul", b("Div", mean, unit), unit)
    spread = b("Max", b("Div", std, unit), b.double(intensity.std_floor))
    factor = b("Div", b.double(1), b("Mul", spread, unit))
    return b.cast(shift, FLOAT), b.cast(factor, FLOAT), False


def _mean_std(b: Builder, image: str, dtype: str) -> tuple[str, str]:
    """`preprocess.mean_std` before the division by the unit: float64 `(C,)`."""
    height = b.size(image, 0)
    count = b.cast(b("Mul", height, b.size(image, 1)), DOUBLE)
    if dtype == "float32":
        mean = b("Div", _summed(b, image, height, DOUBLE, lambda body, x: x), count)
        squares = _summed(b, image, height, DOUBLE, lambda body, x: _square(body, body("Sub", x, mean)))
        return mean, b("Sqrt", b("Div", squares, count))
    sums = [_summed(b, image, height, INT64, change) for change in (lambda body, x: x, _square)]
    first, second = (b.cast(total, DOUBLE) for total in sums)
    mean = b("Div", first, count)
    variance = b("Max", b("Sub", b("Div", second, count), b("Mul", mean, mean)), b.double(0))
    return mean, b("Sqrt", variance)


def _square(b: Builder, x: str) -> str:
    return b("Mul", x, x)


def _summed(b: Builder, image: str, height: str, kind: int, change: Callable[[Builder, str], str]) -> str:
    """Sum per channel `(C,)` of a function of the pixels, block by block."""
    body = Builder(b.name())
    first = body("Mul", body.turn, body.integer(BLOCK))
    last = body("Min", body("Add", first, body.integer(BLOCK)), height)
    values = change(body, body.cast(body.slice(image, first, last, 0), kind))
    total = body("ReduceSum", values, body.ints(0, 1), keepdims=0)
    sums = b.loop(_blocks(b, height), body, [(total, kind, 1)])[0]  # (blocks, C)
    return b("ReduceSum", sums, b.ints(0), keepdims=0)


def _blocks(b: Builder, height: str) -> str:
    """Number of blocks of `BLOCK` rows, int64 scalar."""
    return b("Div", b("Add", height, b.integer(BLOCK - 1)), b.integer(BLOCK))


def window_counts(b: Builder, shape: tuple[str, str], contract: Contract) -> list[str]:
    """How many windows `preprocess.Grid.origins` has on each axis, int64 scalars."""
    found = []
    for size, out, pace in zip(shape, contract.geometry.output_shape, contract.geometry.step, strict=True):
        beyond = b("Max", b("Sub", size, b.integer(out)), b.integer(0))
        found.append(b("Add", b("Div", b("Add", beyond, b.integer(pace - 1)), b.integer(pace)), b.integer(1)))
    return found


def mirror_index(b: Builder, start: str, length: int, size: str) -> str:
    """`preprocess.mirror_index`: `(length,)` int64."""
    last = b("Sub", size, b.integer(1))
    period = b("Max", b("Mul", last, b.integer(2)), b.integer(1))  # an axis of one pixel repeats it
    index = b("Mod", b("Add", b.const(np.arange(length), np.int64), start), period)
    return b("Min", index, b("Max", b("Sub", period, index), b.integer(0)))


def decide(b: Builder, logits: str, labels: Labels) -> str:
    """`Labels.window`: `(K, h, w)` float32 -> `(h, w)` uint8."""
    count = labels.spec.maps
    if labels.spec.decision == "threshold":
        objects = b("Slice", logits, b.ints(1), b.ints(count), b.ints(0))
        best = b("Add", b("ArgMax", objects, axis=0, keepdims=0), b.integer(1))
        highest = b.cast(b("ReduceMax", objects, b.ints(0), keepdims=0), DOUBLE)
        reached = b("GreaterOrEqual", highest, b.double(labels.threshold_logit))
        return b.cast(b("Where", reached, best, b.integer(0)), UINT8)
    if count == 2:
        first, second = (b("Gather", logits, b.integer(k), axis=0) for k in (0, 1))
        return b.cast(b("Greater", second, first), UINT8)
    return b.cast(b("ArgMax", logits, axis=0, keepdims=0), UINT8)


def stitch(b: Builder, stack: str, counts: list[str], shape: tuple[str, str], contract: Contract, leading: int) -> str:
    """`postprocess.stitch`: answers `(windows, [K,] h, w)` -> `([K,] H, W)`.

    All windows are laid side by side with their overlap, and of each row and column the place is read that
    `Grid.core` gives: a window answers for one step, the last one of an axis for what is left.
    """
    out = contract.geometry.output_shape
    step = contract.geometry.step
    keep = [b.size(stack, 1)] if leading else []
    apart = b("Reshape", stack, b.shape(*counts, *keep, *(b.integer(o) for o in out)))  # (ny, nx, [K,] h, w)
    laid = b("Transpose", apart, perm=[2, 0, 3, 1, 4] if leading else [0, 2, 1, 3])  # ([K,] ny, h, nx, w)
    sides = [b("Mul", n, b.integer(o)) for n, o in zip(counts, out, strict=True)]
    whole = b("Reshape", laid, b.shape(*keep, *sides))
    for axis, (size, count, o, s) in enumerate(zip(shape, counts, out, step, strict=True)):
        place = b.count(size)
        window = b("Min", b("Div", place, b.integer(s)), b("Sub", count, b.integer(1)))
        whole = b("Gather", whole, b("Add", place, b("Mul", window, b.integer(o - s))), axis=axis + leading)
    return whole


def nearest(b: Builder, values: str, sizes: tuple[str, str], lengths: tuple[str, str], leading: int) -> str:
    """`geometry.nearest` on the last two axes."""
    for axis, (size, length) in enumerate(zip(sizes, lengths, strict=True)):
        odd = b("Add", b("Mul", b.count(length), b.integer(2)), b.integer(1))
        centres = b("Div", b("Mul", odd, size), b("Mul", length, b.integer(2)))
        values = b("Gather", values, centres, axis=axis + leading)
    return values


def activate(b: Builder, logits: str, contract: Contract) -> str:
    """`postprocess.activate`: `(K, H, W)` float32."""
    return b("Softmax", logits, axis=0) if contract.answer.activation == "softmax" else b("Sigmoid", logits)
