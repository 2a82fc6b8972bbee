"""A table of forms applied to a graph."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import RewriteRuleSet

from .layers import Layer, Table, find_layers
from .layout import Crop, Pad, Split, Upconv
from .rule import Constants
from .winograd import Winograd, Winograd1d, Winograd2

RULES = (Winograd, Winograd1d, Winograd2, Split, Pad, Upconv, Crop)
FOLDED = 1 << 31  # elements; transformed weights are computed here, not at every start of a session


def layers_of(graph: onnx.ModelProto) -> list[Layer]:
    """The layers of a graph that `to_onnx` made; see `find_layers`."""
    return find_layers(_read(graph))


def rewritten(graph: onnx.ModelProto, table: Table) -> onnx.ModelProto:
    """The same function with each layer in the form that a table names.

    Args:
        graph: as `to_onnx` makes it; its sizes are fixed.
        table: layers that it does not name stay as they are.

    Returns:
        A checked graph of standard operators, its weights constants, as a quantizer wants them; opset, IR version, inputs and outputs are those of `graph`.
    """
    model, constants = _read(graph), Constants()
    rules = [kind.rule(table, constants) for kind in RULES]  # type: ignore[no-untyped-call]
    RewriteRuleSet(rules).apply_to_model(model)
    fold_constants(model, input_size_limit=FOLDED, output_size_limit=FOLDED)
    common.RemoveUnusedNodesPass()(model)
    common.NameFixPass()(model)
    found: onnx.ModelProto = ir.serde.serialize_model(model)
    found.ir_version = graph.ir_version
    del found.graph.value_info[:]  # shapes of values that are gone
    onnx.checker.check_model(found, full_check=True)
    return found


def _read(graph: onnx.ModelProto) -> ir.Model:
    return ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(graph))
