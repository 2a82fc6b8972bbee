"""The pipeline of the runtime as ONNX operators. Each method mirrors the function of seg_runtime that its docstring names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from seg_runtime.model import Contract
from seg_runtime.pipeline import Normaliser, dtype_maximum

from .builder import DOUBLE, FLOAT, INT64, Builder
from .resample import resize

BLOCK = 256  # rows at a time, because a wide dtype for the whole image would need much memory

Sizes = tuple[str, str]
"""Rows and columns, int64 scalars."""


class Corridor(Builder):
    """A graph builder with the operations of the runtime's pipeline.

    Attributes:
        contract: contract of the host-ready file.
    """

    def __init__(self, prefix: str, contract: Contract) -> None:
        """Start a graph, see `Builder`."""
        super().__init__(prefix)
        self.contract, self.geometry = contract, contract.geometry
        self.dtype = contract.file.dtype or ""
        self.maximum = dtype_maximum(np.dtype(self.dtype))

    def frame(self, image: str, sizes: Sizes) -> tuple[str, Sizes]:
        """`geometry.frame` of an image of these sizes, and the sizes of the result."""
        if self.geometry.method == "tile":
            return image, sizes
        if self.geometry.method == "stretch":
            framed = self._integers(self.geometry.input_shape)
        else:
            framed = self._fitting(sizes)
        return resize(self, image, framed, self.dtype, self.maximum), framed

    def _fitting(self, sizes: Sizes) -> Sizes:
        """`geometry.framed_shape` of `fit`."""
        out, own = self.geometry.output_shape, [self.cast(n, DOUBLE) for n in sizes]
        factor = self("Min", *(self("Div", self.double(o), n) for o, n in zip(out, own, strict=True)))
        rounded = [self.cast(self("Round", self("Mul", n, factor)), INT64) for n in own]
        rows, columns = (
            self("Min", self.integer(o), self("Max", self.integer(1), n)) for o, n in zip(out, rounded, strict=True)
        )
        return rows, columns

    def area(self, framed: Sizes) -> Sizes:
        """Area that the windows cover, see `Grid.of`."""
        return self._integers(self.geometry.output_shape) if self.geometry.method == "stretch" else framed

    def normaliser(self, image: str, given: str) -> str:
        """`Normaliser.of` of a framed image: shift and factor `(2, C)` float32, as given or, if that is empty, computed."""
        computed, kept = Corridor(self.name(), self.contract), Builder(self.name())
        shift, factor = computed._shift_and_factor(image)
        rows = [computed("Unsqueeze", row, computed.ints(0)) for row in (shift, factor)]
        computed("Concat", *rows, axis=0)
        kept("Identity", given)
        empty = self("Equal", self.size(given, 0), self.integer(0))
        return self.choose(empty, computed, kept, FLOAT, 2)

    def _shift_and_factor(self, image: str) -> tuple[str, str]:
        """Compute both, `(C,)` float32."""
        intensity = self.contract.input.intensity
        if intensity.method != "zscore":  # only zscore depends on the pixels
            known = Normaliser.of(np.empty((0, 0, 1), self.dtype), intensity)
            channels = self.contract.input.channels
            shift, factor = (np.broadcast_to(values, channels) for values in (known.shift, known.factor))
            return self.const(shift, np.float32), self.const(factor, np.float32)
        mean, std = self._mean_std(image)
        unit = self.double(self.maximum)
        scaled = self("Mul", self("Div", mean, unit), unit)
        spread = self("Max", self("Div", std, unit), self.double(intensity.std_floor))
        inverse = self("Div", self.double(1), self("Mul", spread, unit))
        return self.cast(scaled, FLOAT), self.cast(inverse, FLOAT)

    def normalise(self, box: str, normaliser: str) -> str:
        """`Normaliser.into`: a box `(h, w, C)` of the image -> network input, `(C, h, w)` float32."""
        rows = (self("Gather", normaliser, self.integer(row), axis=0) for row in (0, 1))
        shift, factor = (self("Reshape", row, self.ints(-1, 1, 1)) for row in rows)  # along whole planes, which is fast
        planes = self("Transpose", box, perm=[2, 0, 1])
        values = self("Mul", self("Sub", self.cast(planes, FLOAT), shift), factor)
        if self.contract.input.intensity.method != "window":
            return values
        return self("Clip", values, self.const(0, np.float32), self.const(1, np.float32))

    def _mean_std(self, image: str) -> tuple[str, str]:
        """`intensity.mean_std` before the division by the unit, float64 `(C,)`."""
        height = self.size(image, 0)
        count = self.cast(self("Mul", height, self.size(image, 1)), DOUBLE)
        if self.dtype == "float32":
            mean = self("Div", self._summed(image, height, DOUBLE, lambda body, x: x), count)
            squares = self._summed(image, height, DOUBLE, lambda body, x: _square(body, body("Sub", x, mean)))
            return mean, self("Sqrt", self("Div", squares, count))
        sums = [self._summed(image, height, INT64, change) for change in (lambda body, x: x, _square)]
        first, second = (self.cast(total, DOUBLE) for total in sums)
        mean = self("Div", first, count)
        variance = self("Max", self("Sub", self("Div", second, count), self("Mul", mean, mean)), self.double(0))
        return mean, self("Sqrt", variance)

    def _summed(self, image: str, height: str, kind: int, change: Callable[[Builder, str], str]) -> str:
        """Sum a function of the pixels per channel `(C,)`, block by block."""
        body = Builder(self.name())
        first = body("Mul", body.turn, body.integer(BLOCK))
        last = body("Min", body("Add", first, body.integer(BLOCK)), height)
        values = change(body, body.cast(body.slice(image, first, last, 0), kind))
        total = body("ReduceSum", values, body.ints(0, 1), keepdims=0)
        blocks = self("Div", self("Add", height, self.integer(BLOCK - 1)), self.integer(BLOCK))
        sums = self.loop(blocks, body, [(total, kind, 1)])[0]  # (blocks, C)
        return self("ReduceSum", sums, self.ints(0), keepdims=0)

    def window_counts(self, area: Sizes) -> Sizes:
        """Number of windows of `Grid.origins` along each axis."""
        rows, columns = (
            self._windows_along(*numbers)
            for numbers in zip(area, self.geometry.output_shape, self.geometry.step, strict=True)
        )
        return rows, columns

    def _windows_along(self, size: str, out: int, step: int) -> str:
        beyond = self("Max", self("Sub", size, self.integer(out)), self.integer(0))
        return self(
            "Add", self("Div", self("Add", beyond, self.integer(step - 1)), self.integer(step)), self.integer(1)
        )

    def mirror_index(self, start: str, length: int, size: str) -> str:
        """`grid.mirror_index`: `(length,)` int64."""
        last = self("Sub", size, self.integer(1))
        period = self(
            "Max", self("Mul", last, self.integer(2)), self.integer(1)
        )  # an axis of one pixel repeats this pixel
        index = self("Mod", self("Add", self.const(np.arange(length), np.int64), start), period)
        return self("Min", index, self("Max", self("Sub", period, index), self.integer(0)))

    def core(self, place: Sizes, area: Sizes) -> tuple[Sizes, Sizes]:
        """`Grid.core`: rows and columns of the area that the window at a place covers, and whether it is the last on each axis.

        A window is used for one step, and the last window of an axis for the rest.
        """
        left = [self("Sub", size, first) for size, first in zip(area, place, strict=True)]
        lasts = [self("LessOrEqual", n, self.integer(o)) for n, o in zip(left, self.geometry.output_shape, strict=True)]
        rows, columns = (
            self("Where", last, n, self.integer(step))
            for last, n, step in zip(lasts, left, self.geometry.step, strict=True)
        )
        return (rows, columns), (lasts[0], lasts[1])

    def next_place(self, place: Sizes, lasts: Sizes) -> str:
        """Next origin of `Grid.origins`, `(2,)` int64; (-1, -1) after the last one."""
        (row, column), (down, across) = place, self.geometry.step
        below = self.shape(self("Add", row, self.integer(down)), self.integer(0))
        beside = self.shape(row, self("Add", column, self.integer(across)))
        following = self("Where", lasts[1], below, beside)
        return self("Where", self("And", *lasts), self.ints(-1, -1), following)

    def progress(self, place: Sizes, area: Sizes) -> str:
        """Number of windows up to the one at a place, and of all, `(2,)` int64."""
        rows, columns = self.window_counts(area)
        row, column = (self("Div", n, self.integer(s)) for n, s in zip(place, self.geometry.step, strict=True))
        done = self("Add", self("Add", self("Mul", row, columns), column), self.integer(1))
        return self.shape(done, self("Mul", rows, columns))

    def top(self, values: str, sizes: Sizes, leading: int) -> str:
        """The first rows and columns of `(…, h, w)` with so many leading axes."""
        return self("Slice", values, self.ints(0, 0), self.shape(*sizes), self.ints(leading, leading + 1))

    def unframe(self, answer: str, area: Sizes, own: Sizes, leading: int) -> str:
        """`geometry.unframe`: resize the last two axes from the area to the size of the image."""
        if self.geometry.method == "tile":
            return answer
        for axis, (size, length) in enumerate(zip(area, own, strict=True)):
            odd = self("Add", self("Mul", self.count(length), self.integer(2)), self.integer(1))
            centres = self("Div", self("Mul", odd, size), self("Mul", length, self.integer(2)))
            answer = self("Gather", answer, centres, axis=axis + leading)
        return answer

    def activate(self, logits: str) -> str:
        """`postprocess.activate`: `(K, H, W)` float32."""
        softmax = self.contract.answer.activation == "softmax"
        return self("Softmax", logits, axis=0) if softmax else self("Sigmoid", logits)

    def _integers(self, shape: tuple[int, ...]) -> Sizes:
        rows, columns = (self.integer(n) for n in shape)
        return rows, columns


def _square(b: Builder, x: str) -> str:
    return b("Mul", x, x)
