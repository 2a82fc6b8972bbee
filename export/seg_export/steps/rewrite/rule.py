"""What the rewrites share: they look at the table, and make constants."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
from onnxscript.rewriter import RewriteRuleClassBase

from .constants import Constants
from .layers import Layer, Table, layer_of


class Rule(RewriteRuleClassBase):
    """A rewrite of the layers whose form is among `forms`. Its pattern calls the layer's own result `place`."""

    forms: tuple[str, ...] = ()

    def __init__(self, table: Table, constants: Constants) -> None:
        super().__init__(type(self).__name__)
        self.table, self.constants = table, constants

    def check(self, context: Any, place: ir.Value, **_: Any) -> bool:  # type: ignore[override]
        """Whether this is a layer, and the table gives it one of these forms."""
        node = place.producer()
        layer = layer_of(node) if node else None
        return layer is not None and self.table.get(layer.name) in self.forms and self.fits(layer)

    def fits(self, layer: Layer) -> bool:
        """Whether the layer can take the form at all."""
        return True

    @staticmethod
    def at(place: ir.Value) -> tuple[ir.Node, Layer]:
        """Node and layer of a place that was checked."""
        node = place.producer()
        layer = layer_of(node) if node else None
        if node is None or layer is None:
            raise ValueError(f"{place.name} is no layer")
        return node, layer
