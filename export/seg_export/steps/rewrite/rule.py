"""Base class of the rewrites, and constants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray
from onnxscript.rewriter import RewriteRuleClassBase

from .layers import Layer, Table, layer_of


class Constants:
    """Makes initializers, each content once. Their names are digests, so that equal graphs give equal files."""

    def __init__(self) -> None:
        self._made: dict[str, ir.Value] = {}

    def ints(self, op: Any, *values: int) -> ir.Value:
        """Make a constant `(n,)` int64."""
        return self._value(op, np.array(values, np.int64))

    def floats(self, op: Any, values: ArrayLike) -> ir.Value:
        """Make a float32 constant."""
        return self._value(op, np.ascontiguousarray(values, np.float32))

    def weights_of_parts(self, op: Any, weight: ir.Value, parts: Sequence[int]) -> list[ir.Value]:
        """Split the weight `(K, C, 3, 3)` of joined maps into those of the parts `(K, part, 3, 3)`."""
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


class RewriteRule(RewriteRuleClassBase):
    """A rewrite of layers whose form is in `forms`. Its pattern names the result of the layer `place`."""

    forms: tuple[str, ...] = ()

    def __init__(self, table: Table, constants: Constants) -> None:
        super().__init__(type(self).__name__.lstrip("_"))
        self.table, self.constants = table, constants

    def check(self, context: Any, place: ir.Value, **_: Any) -> bool:  # type: ignore[override]
        """Whether this is a layer for which the table has one of these forms."""
        node = place.producer()
        layer = layer_of(node) if node else None
        return layer is not None and self.table.get(layer.name) in self.forms and self.fits(layer)

    def fits(self, layer: Layer) -> bool:
        """Whether the layer can take the form."""
        return True

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """Match a Conv, with or without bias."""
        return op.Conv(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])

    @staticmethod
    def at(place: ir.Value) -> tuple[ir.Node, Layer]:
        """Return node and layer of a place that was checked."""
        node = place.producer()
        layer = layer_of(node) if node else None
        if node is None or layer is None:
            raise ValueError(f"{place.name} is not a layer")
        return node, layer
