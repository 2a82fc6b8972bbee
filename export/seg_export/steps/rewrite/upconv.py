"""A transposed 2×2 convolution of stride 2 as a 1×1 convolution whose maps are laid out as 2×2 blocks.

Each output pixel has one input pixel, so that the four pixels of a block are four sets of maps of one 1×1 convolution.
The sums are the same to the bit; a 1×1 convolution can be quantised where ONNX Runtime has no integer kernel for the
transposed one. `shuffled` lays the blocks out by DepthToSpace. `woven` does it channels last, in Transposes whose outer
ones cancel against those that ONNX Runtime puts around integer convolutions.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from .layers import Layer
from .rule import Rule


class Upconv(Rule):
    """ConvTranspose -> Conv and a layout, for layers of the forms `shuffled` and `woven`."""

    forms = ("shuffled", "woven")

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """A ConvTranspose, with or without bias."""
        return op.ConvTranspose(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """The weight `(C, K, 2, 2)` becomes `(4 K, C, 1, 1)`, the block's pixel outermost."""
        (node, layer), k = self.at(place), self.constants
        turned = op.Transpose(w, perm=[2, 3, 1, 0])
        wide = op.Reshape(turned, k.ints(op, 4 * layer.maps, layer.channels, 1, 1))
        bias = [op.Concat(*[node.inputs[2]] * 4, axis=0)] if len(node.inputs) > 2 else []
        maps = op.Conv(x, wide, *bias)
        if self.table[layer.name] == "shuffled":
            return op.DepthToSpace(maps, blocksize=2, mode="DCR")
        return self._woven(op, maps, layer)

    def _woven(self, op: Any, maps: ir.Value, layer: Layer) -> ir.Value:
        (height, width), k = layer.size, self.constants
        last = op.Transpose(maps, perm=[0, 2, 3, 1])  # (1, H, W, 4 K)
        blocks = op.Reshape(last, k.ints(op, 1, height, width, 2, 2, layer.maps))
        rows = op.Transpose(blocks, perm=[0, 1, 3, 2, 4, 5])  # (1, H, 2, W, 2, K)
        whole = op.Reshape(rows, k.ints(op, 1, 2 * height, 2 * width, layer.maps))
        first: ir.Value = op.Transpose(whole, perm=[0, 3, 1, 2])
        return first
