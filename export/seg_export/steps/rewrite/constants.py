"""Constants of a graph that is being rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray


class Constants:
    """Makes initializers, each content once; their names are digests, so that the same graph gives the same file."""

    def __init__(self) -> None:
        self._made: dict[str, ir.Value] = {}

    def ints(self, op: Any, *values: int) -> ir.Value:
        """A constant `(n,)` int64."""
        return self._value(op, np.array(values, np.int64))

    def floats(self, op: Any, values: ArrayLike) -> ir.Value:
        """A float32 constant."""
        return self._value(op, np.ascontiguousarray(values, np.float32))

    def weights_of_parts(self, op: Any, weight: ir.Value, parts: Sequence[int]) -> list[ir.Value]:
        """The weight `(K, C, 3, 3)` of joined maps cut into those of its parts `(K, part, 3, 3)`."""
        if len(parts) < 2:
            return [weight]
        ends = np.cumsum(parts)
        return [
            op.Slice(weight, self.ints(op, end - part), self.ints(op, end), self.ints(op, 1))
            for part, end in zip(parts, ends, strict=True)
        ]

    def _value(self, op: Any, values: NDArray[Any]) -> ir.Value:
        digest = hashlib.sha256(f"{values.dtype}{values.shape}".encode() + values.tobytes()).hexdigest()[:16]
        name = f"const/{digest}"
        if name not in self._made:
            self._made[name] = op.initializer(ir.tensor(values, name=name), name=name)
        return self._made[name]
