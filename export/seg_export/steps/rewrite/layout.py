"""Rewrites of layouts: joined maps, missing channels, up-convolutions and crops."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from .layers import Layer, parts_of
from .rule import RewriteRule

PACK = 4
"""Number of channels that an integer kernel combines in one product."""


class _Split(RewriteRule):
    """Conv(Concat(a, b)) -> Conv(a) + Conv(b), for layers of the form `split`.

    The maps of a skip connection are then convolved in their blocked layout without being copied together. ONNX Runtime
    fuses the sum into the second convolution.
    """

    forms = ("split",)

    def fits(self, layer: Layer) -> bool:
        """Whether a Concat over channels precedes the layer."""
        return len(layer.parts) > 1

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Rewrite the layer; the first part gets the bias."""
        node, layer = self.at(place)
        sums = None
        for part, weight in zip(parts_of(x), self.constants.weights_of_parts(op, w, layer.parts), strict=True):
            bias = list(node.inputs[2:]) if sums is None else []
            answer = op.Conv(part, weight, *bias)
            sums = answer if sums is None else op.Add(sums, answer)
        return sums


class _Pad(RewriteRule):
    """Conv(x) -> Conv(Pad(x)), for layers of the form `padded`: channels of zeros are added up to a multiple of 4.

    Integer kernels combine four channels in one product. With three, the first layer of an int8 network was nine times
    slower than the others. The sums are bitwise equal.
    """

    forms = ("padded",)

    def fits(self, layer: Layer) -> bool:
        """Whether channels are missing."""
        return layer.channels % PACK > 0

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Add zeros after the last channel of the maps and of the weight."""
        node, layer = self.at(place)
        more = self.constants.ints(op, 0, 0, 0, 0, 0, -layer.channels % PACK, 0, 0)
        return op.Conv(op.Pad(x, more), op.Pad(w, more), *node.inputs[2:])


class _Upconv(RewriteRule):
    """ConvTranspose 2×2 of stride 2 -> Conv 1×1 and a layout of 2×2 blocks, for layers of the forms `shuffled` and `woven`.

    Each output pixel depends on one input pixel, so the four pixels of a block are four sets of maps of one 1×1
    convolution. The sums are bitwise equal. A 1×1 convolution can be quantised, while ONNX Runtime has no integer kernel for
    the transposed one. `shuffled` arranges the blocks with DepthToSpace. `woven` arranges them with channels last, in
    Transposes of which the outer ones cancel with those that ONNX Runtime adds around integer convolutions.
    """

    forms = ("shuffled", "woven")

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """Match a ConvTranspose, with or without bias."""
        return op.ConvTranspose(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Rewrite the weight `(C, K, 2, 2)` to `(4 K, C, 1, 1)`, with the pixel of the block as the outermost index."""
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


class _Crop(RewriteRule):
    """Centre crop of a skip connection, two Slices in the exported graph -> one Slice, or a dilated convolution.

    `slice`: one Slice of rows and columns. `dilated`: a depthwise 3×3 convolution whose centre weight is 1, other weights
    are 0 and dilation is the crop on each side; without padding, it copies the centre. ONNX Runtime computes it in the
    blocked layout of its convolutions, while a Slice needs a reordering of the whole map before it and of the crop after
    it. The result is exact for finite values.
    """

    forms = ("slice", "dilated")

    def pattern(self, op: Any, x: Any) -> Any:  # type: ignore[override]
        """Match a Slice of a Slice."""
        rows = op.Slice(x, _allow_other_inputs=True, _outputs=["rows"])
        return op.Slice(rows, _allow_other_inputs=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, place: ir.Value, **_: Any) -> Any:
        """Rewrite into the form of the table. A crop that is not centred always becomes a Slice."""
        layer, k = self.at(place)[1], self.constants
        (top, left), (height, width) = layer.taken, layer.left
        centred = layer.size == (height + 2 * top, width + 2 * left) and min(top, left) > 0
        if self.table[layer.name] == "slice" or not centred:
            return op.Slice(x, k.ints(op, top, left), k.ints(op, top + height, left + width), k.ints(op, 2, 3))
        kernel = np.zeros((layer.channels, 1, 3, 3))
        kernel[:, :, 1, 1] = 1
        return op.Conv(x, k.floats(op, kernel), group=layer.channels, dilations=[top, left])


RULES = (_Split, _Pad, _Upconv, _Crop)
