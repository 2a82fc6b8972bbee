"""`seg_runtime.pipeline.resample` as ONNX operators: bicubic resampling of Pillow in exact integer arithmetic in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from seg_runtime.pipeline import BICUBIC_BITS, BICUBIC_REACH

from .builder import DOUBLE, INT64, ONNX_TYPES, Builder

BAND = 32  # results at a time: they depend on few neighbours, and all other weights are 0


@dataclass(frozen=True)
class _Kernel:
    """Positions of the weights of an axis: names of float64 scalars and of `(length, 1)` float64 columns."""

    stretch: str
    centre: str
    first: str
    end: str


def _kernel(b: Builder, size: str, length: str) -> _Kernel:
    scale = b("Div", b.cast(size, DOUBLE), b.cast(length, DOUBLE))
    stretch = b("Max", scale, b.double(1))
    support, half = b("Mul", b.double(BICUBIC_REACH), stretch), b.double(0.5)
    centre = b("Mul", b("Add", b.column(b.cast(b.count(length), DOUBLE)), half), scale)
    first = b("Floor", b("Max", b("Add", b("Sub", centre, support), half), b.double(0)))
    end = b("Min", b("Floor", b("Add", b("Add", centre, support), half)), b.cast(size, DOUBLE))
    return _Kernel(stretch, centre, first, end)


def _weights(body: Builder, kernel: _Kernel, rows: str, start: str, stop: str) -> str:
    """The weights of a `resample.Band`, transposed: `(stop - start, rows)`.

    They are computed transposed, because ONNX Runtime below 1.26 fuses a Transpose and a MatMul into an operator that it
    lacks for float64, and then cannot load the file.
    """
    half = body.double(0.5)
    columns = (body("Gather", v, rows, axis=0) for v in (kernel.first, kernel.end, kernel.centre))
    first, end, centre = (body("Transpose", v, perm=[1, 0]) for v in columns)  # (1, rows)
    place = body.column(body.cast(body("Range", start, stop, body.integer(1)), DOUBLE))
    inside = body("And", body("GreaterOrEqual", place, first), body("Less", place, end))
    narrow = body("Div", body.double(1), kernel.stretch)
    distance = body("Abs", body("Mul", body("Add", body("Sub", place, centre), half), narrow))
    values = body("Where", inside, _cubic(body, distance), body.double(0))
    sums = body("CumSum", values, body.integer(0))  # from first to last, in the order of Pillow
    count = body("Sub", stop, start)
    total = body.slice(sums, body("Sub", count, body.integer(1)), count, 0)
    scaled = body("Mul", body("Div", values, total), body.double(2**BICUBIC_BITS))
    away = body("Where", body("Less", values, body.double(0)), body.double(-0.5), half)
    return body.cast(body.cast(body("Add", scaled, away), INT64), DOUBLE)  # a cast to integers truncates


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
    floor = b("Floor", b("Mul", b("Add", sums, b.double(2 ** (BICUBIC_BITS - 1))), b.double(2.0**-BICUBIC_BITS)))
    return b("Min", b("Max", floor, b.double(0)), b.double(maximum))


def resize(b: Builder, image: str, shape: tuple[str, str], dtype: str, maximum: float) -> str:
    """`resample.resize`: `(H, W, C)` -> `(*shape, C)`, first along rows, then along columns."""
    rows, columns = shape
    planes = b("Transpose", image, perm=[2, 0, 1])  # (C, H, W)
    narrow = _pass(b, planes, b.size(image, 1), columns, dtype, maximum)  # (C, H, columns)
    turned = b("Transpose", narrow, perm=[0, 2, 1])  # (C, columns, H)
    return b(
        "Transpose", _pass(b, turned, b.size(image, 0), rows, dtype, maximum), perm=[2, 1, 0]
    )  # (rows, columns, C)


def _pass(b: Builder, planes: str, size: str, length: str, dtype: str, maximum: float) -> str:
    """Resize the last axis of `(C, N, size)` to `length`, in bands of results."""
    kernel = _kernel(b, size, length)
    body, kind = Builder(b.name()), ONNX_TYPES[dtype]
    place = body("Add", body.const(range(BAND), np.int64), body("Mul", body.turn, body.integer(BAND)))
    place = body("Min", place, body("Sub", length, body.integer(1)))  # past the end, the last one is repeated
    start = body.cast(body("ReduceMin", body("Gather", kernel.first, place, axis=0), keepdims=0), INT64)
    stop = body.cast(body("ReduceMax", body("Gather", kernel.end, place, axis=0), keepdims=0), INT64)
    band = _weights(body, kernel, place, start, stop)  # (n, BAND)
    source = body.cast(body.slice(planes, start, stop, 2), DOUBLE)  # (C, N, n)
    sums = body("MatMul", source, band)
    grey = body.cast(_rounded(body, sums, maximum), kind)  # (C, N, BAND)
    bands = b("Div", b("Add", length, b.integer(BAND - 1)), b.integer(BAND))
    strips = b("Transpose", b.loop(bands, body, [(grey, kind, 3)])[0], perm=[1, 2, 0, 3])  # (C, N, bands, BAND)
    joined = b("Reshape", strips, b.shape(b.size(planes, 0), b.size(planes, 1), b.integer(-1)))
    return b.slice(joined, b.integer(0), length, 2)  # (C, N, length)
