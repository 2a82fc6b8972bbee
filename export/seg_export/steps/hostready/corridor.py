"""The pipeline of the runtime as ONNX operators. Each method mirrors the function of seg_runtime that its docstring names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from seg_runtime.answers import Labels
from seg_runtime.model import Contract
from seg_runtime.pipeline import Normaliser, dtype_maximum

from .builder import DOUBLE, FLOAT, INT64, UINT8, Builder
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

    def normaliser(self, image: str) -> tuple[str, str, bool]:
        """`Normaliser.of` of a framed image: shift and factor per channel, float32, and whether values are clipped."""
        intensity = self.contract.input.intensity
        if intensity.method != "zscore":  # only zscore depends on the pixels
            known = Normaliser.of(np.empty((0, 0, 1), self.dtype), intensity)
            return self.const(known.shift, np.float32), self.const(known.factor, np.float32), known.clip
        mean, std = self._mean_std(image)
        unit = self.double(self.maximum)
        shift = self("Mul", self("Div", mean, unit), unit)
        spread = self("Max", self("Div", std, unit), self.double(intensity.std_floor))
        factor = self("Div", self.double(1), self("Mul", spread, unit))
        return self.cast(shift, FLOAT), self.cast(factor, FLOAT), False

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

    def decide(self, logits: str) -> str:
        """`Labels.window`: `(K, h, w)` float32 -> `(h, w)` uint8."""
        labels = Labels(self.contract)
        count = labels.spec.maps
        if labels.spec.decision == "threshold":
            objects = self("Slice", logits, self.ints(1), self.ints(count), self.ints(0))
            best = self("Add", self("ArgMax", objects, axis=0, keepdims=0), self.integer(1))
            highest = self.cast(self("ReduceMax", objects, self.ints(0), keepdims=0), DOUBLE)
            reached = self("GreaterOrEqual", highest, self.double(labels.threshold_logit))
            return self.cast(self("Where", reached, best, self.integer(0)), UINT8)
        if count == 2:
            first, second = (self("Gather", logits, self.integer(k), axis=0) for k in (0, 1))
            return self.cast(self("Greater", second, first), UINT8)
        return self.cast(self("ArgMax", logits, axis=0, keepdims=0), UINT8)

    def stitch(self, stack: str, counts: Sizes, area: Sizes, leading: int) -> str:
        """`Grid.stitch`: results `(windows, [K,] h, w)` -> `([K,] H, W)`.

        All windows are laid side by side with their overlap. Each row and column is then read from the place that `Grid.core`
        gives: a window is used for one step, and the last window of an axis for the rest.
        """
        out, keep = self.geometry.output_shape, [self.size(stack, 1)] if leading else []
        shape = self.shape(*counts, *keep, *(self.integer(o) for o in out))
        apart = self("Reshape", stack, shape)  # (ny, nx, [K,] h, w)
        laid = self("Transpose", apart, perm=[2, 0, 3, 1, 4] if leading else [0, 2, 1, 3])  # ([K,] ny, h, nx, w)
        sides = [self("Mul", n, self.integer(o)) for n, o in zip(counts, out, strict=True)]
        whole = self("Reshape", laid, self.shape(*keep, *sides))
        for axis, (size, count, o, s) in enumerate(zip(area, counts, out, self.geometry.step, strict=True)):
            place = self.count(size)
            window = self("Min", self("Div", place, self.integer(s)), self("Sub", count, self.integer(1)))
            source = self("Add", place, self("Mul", window, self.integer(o - s)))
            whole = self("Gather", whole, source, axis=axis + leading)
        return whole

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
