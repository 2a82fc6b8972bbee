"""A convolution of joined maps as the sum of one convolution of each.

The maps of a skip connection are then convolved in the blocked layout in which they lie, and are never copied together;
ONNX Runtime fuses the sum into the second convolution.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from .layers import Layer, parts_of
from .rule import Rule


class Split(Rule):
    """Conv(Concat(a, b)) -> Conv(a) + Conv(b), for layers of the form `split`."""

    forms = ("split",)

    def fits(self, layer: Layer) -> bool:
        """Only on a Concat over channels."""
        return len(layer.parts) > 1

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """A Conv, with or without bias."""
        return op.Conv(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """The bias goes to the first part."""
        node, layer = self.at(place)
        sums = None
        for part, weight in zip(parts_of(x), self.constants.weights_of_parts(op, w, layer.parts), strict=True):
            bias = list(node.inputs[2:]) if sums is None else []
            answer = op.Conv(part, weight, *bias)
            sums = answer if sums is None else op.Add(sums, answer)
        return sums
