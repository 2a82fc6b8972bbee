"""A convolution of 1, 2 or 3 channels with channels of zeros added up to 4.

Integer kernels pack four channels into one product; with three, the first layer of an int8 network ran nine times slower
than the others. The sums are the same to the bit.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from .layers import Layer
from .rule import Rule

PACK = 4


class Pad(Rule):
    """Conv(x) -> Conv(Pad(x)), for layers of the form `padded`."""

    forms = ("padded",)

    def fits(self, layer: Layer) -> bool:
        """Only where channels are missing."""
        return layer.channels % PACK > 0

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """A Conv, with or without bias."""
        return op.Conv(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Zeros after the last channel, of the maps and of the weight."""
        node, layer = self.at(place)
        more = self.constants.ints(op, 0, 0, 0, 0, 0, -layer.channels % PACK, 0, 0)
        return op.Conv(op.Pad(x, more), op.Pad(w, more), *node.inputs[2:])
