"""The centre crop of a skip connection, which torch exports as a Slice of rows and a Slice of columns.

`slice`: one Slice of both. `dilated`: a depthwise 3×3 convolution whose centre is 1 and whose dilation is what the crop
takes away on each side; valid, it reads the centre and nothing else. ONNX Runtime computes it in the blocked layout
that its convolutions leave, where a Slice costs a reordering of the whole map before it and of the crop after it.
Exact for finite values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from .rule import Rule


class Crop(Rule):
    """Two Slices -> one, or a dilated convolution, as the table says."""

    forms = ("slice", "dilated")

    def pattern(self, op: Any, x: Any) -> Any:
        """A Slice of a Slice."""
        rows = op.Slice(x, _allow_other_inputs=True, _outputs=["rows"])
        return op.Slice(rows, _allow_other_inputs=True, _outputs=["place"])

    def rewrite(self, op: Any, x: ir.Value, place: ir.Value, **_: Any) -> Any:
        """In the form that the table names; a crop that is not centred is a Slice in any case."""
        layer, k = self.at(place)[1], self.constants
        (top, left), (height, width) = layer.taken, layer.left
        centred = layer.size == (height + 2 * top, width + 2 * left) and min(top, left) > 0
        if self.table[layer.name] == "slice" or not centred:
            return op.Slice(x, k.ints(op, top, left), k.ints(op, top + height, left + width), k.ints(op, 2, 3))
        kernel = np.zeros((layer.channels, 1, 3, 3))
        kernel[:, :, 1, 1] = 1
        return op.Conv(x, k.floats(op, kernel), group=layer.channels, dilations=[top, left])
