"""`seg_runtime.resample` as ONNX operators: Pillow's bicubic resampling in exact integer arithmetic, held in float64."""

from __future__ import annotations

from seg_runtime.resample import PRECISION_BITS, SUPPORT

from .builder import DOUBLE, INT64, ONNX_TYPES, Builder
from .steps import BLOCK, UNITS, blocks


def resample_weights(b: Builder, size: str, length: str) -> str:
    """`resample.weights`: `(length, size)` float64."""
    scale = b("Div", b.cast(size, DOUBLE), b.cast(length, DOUBLE))
    stretch = b("Max", scale, b.double(1))
    support, half = b("Mul", b.double(SUPPORT), stretch), b.double(0.5)
    centre = b("Mul", b("Add", b.column(b.cast(b.count(length), DOUBLE)), half), scale)  # (length, 1)
    place = b.cast(b.count(size), DOUBLE)  # (size,)
    first = b("Floor", b("Max", b("Add", b("Sub", centre, support), half), b.double(0)))
    end = b("Min", b("Floor", b("Add", b("Add", centre, support), half)), b.cast(size, DOUBLE))
    inside = b("And", b("GreaterOrEqual", place, first), b("Less", place, end))  # (length, size)
    distance = b("Abs", b("Mul", b("Add", b("Sub", place, centre), half), b("Div", b.double(1), stretch)))
    kernel = b("Where", inside, _cubic(b, distance), b.double(0))
    sums = b("CumSum", kernel, b.integer(1))  # from left to right, as Pillow adds
    total = b.slice(sums, b("Sub", size, b.integer(1)), size, 1)
    scaled = b("Mul", b("Div", kernel, total), b.double(2**PRECISION_BITS))
    away = b("Where", b("Less", kernel, b.double(0)), b.double(-0.5), half)
    return b.cast(b.cast(b("Add", scaled, away), INT64), DOUBLE)  # a cast to integers cuts off the fraction


def _cubic(b: Builder, d: str) -> str:
    """`resample.cubic`."""
    one = b.double(1)
    near = b("Sub", b("Mul", b.double(1.5), d), b.double(2.5))
    near = b("Add", b("Mul", b("Mul", near, d), d), one)
    far = b("Add", b("Mul", b("Sub", d, b.double(5)), d), b.double(8))
    far = b("Mul", b("Sub", b("Mul", far, d), b.double(4)), b.double(-0.5))
    beyond = b("Where", b("Less", d, b.double(2)), far, b.double(0))
    return b("Where", b("Less", d, one), near, beyond)


def _rounded(b: Builder, sums: str, maximum: float) -> str:
    """`resample._rounded`."""
    floor = b("Floor", b("Mul", b("Add", sums, b.double(2 ** (PRECISION_BITS - 1))), b.double(2.0**-PRECISION_BITS)))
    return b("Min", b("Max", floor, b.double(0)), b.double(maximum))


def resize(b: Builder, image: str, shape: tuple[str, str], dtype: str) -> str:
    """`resample.resize`: `(H, W, C)` -> `(*shape, C)`; the rows in blocks of them, then the columns."""
    (rows, columns), kind = shape, ONNX_TYPES[dtype]
    height, width, channels = (b.size(image, axis) for axis in range(3))
    across = b("Transpose", resample_weights(b, width, columns), perm=[1, 0])  # (W, columns)
    body = Builder(b.name())
    places = body("Add", body.count(body.integer(BLOCK)), body("Mul", body.turn, body.integer(BLOCK)))
    block = body(
        "Gather", image, body("Min", places, body("Sub", height, body.integer(1))), axis=0
    )  # beyond: the last row
    planes = body("Transpose", body.cast(block, DOUBLE), perm=[2, 0, 1])  # (C, BLOCK, W)
    narrow = body.cast(_rounded(body, body("MatMul", planes, across), UNITS[dtype]), kind)
    strips = b.loop(blocks(b, height), body, [(narrow, kind, 3)])[0]  # (blocks, C, BLOCK, columns)
    joined = b("Reshape", b("Transpose", strips, perm=[1, 0, 2, 3]), b.shape(channels, b.integer(-1), columns))
    whole = b.cast(b.slice(joined, b.integer(0), height, 1), DOUBLE)  # (C, H, columns)
    short = b("MatMul", resample_weights(b, height, rows), whole)  # (C, rows, columns)
    return b("Transpose", b.cast(_rounded(b, short, UNITS[dtype]), kind), perm=[1, 2, 0])
