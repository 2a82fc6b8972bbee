"""Tables of forms: possible forms, the default table, and rewriting a graph with a table."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import RewriteRuleSet

from . import layout, winograd
from .layers import FORMS, Layer, Table, layer_of
from .rule import Constants

_RULES = (*winograd.RULES, *layout.RULES)
FOLDED = 1 << 31  # elements; transformed weights are computed here and not at every start of a session
WIDE = 128  # smallest number of channels and maps for which Winograd along columns is faster
WIDER = 256  # the same for Winograd along both axes
AREA = 1600  # smallest number of output px for which the saved time is worth the larger weights
SHARE = (
    16  # weights per output px up to which weights may grow fourfold; larger layers get twofold growth to save memory
)


def layers_of(graph: onnx.ModelProto) -> list[Layer]:
    """List the layers of a graph from `to_onnx`, in the order in which they run."""
    return [layer for node in _read(graph).graph if (layer := layer_of(node))]


def forms_of(layer: Layer) -> list[str]:
    """List the forms that a layer can take, the exported one first."""
    constants = Constants()
    rules = [rule({}, constants) for rule in _RULES]
    fitting = {form for rule in rules if rule.fits(layer) for form in rule.forms}
    first, *others = FORMS[layer.kind]
    return [first, *(form for form in others if form in fitting)]


def default_table(layers: Sequence[Layer], precision: str = "fp32") -> dict[str, str]:
    """Choose a form for each layer that is faster than the exported one, as measured on 2 cores with AVX-512.

    Args:
        layers: layers from `layers_of`.
        precision: `fp32`, `int8` or `fp16`. fp16 is for CUDA, where the exported forms are fastest.
    """
    choose = {"fp32": _float, "int8": _integer}.get(precision)
    return {layer.name: form for layer in layers if choose and (form := choose(layer)) != FORMS[layer.kind][0]}


def _float(layer: Layer) -> str:
    if layer.kind == "crop":
        return "dilated"
    if layer.kind == "up":
        return "transposed"
    area = (layer.size[0] - 2) * (layer.size[1] - 2)
    width = min(layer.channels, layer.maps)
    if width >= WIDER and layer.channels * layer.maps <= SHARE * area:
        return "winograd"
    if width >= WIDE and area >= AREA:
        return "winograd1d"
    return "split" if len(layer.parts) > 1 else "direct"


def _integer(layer: Layer) -> str:
    if layer.kind == "conv":
        return "padded" if layer.channels % layout.PACK else "direct"
    return {"up": "woven", "crop": "slice"}[layer.kind]


def rewritten(graph: onnx.ModelProto, table: Table) -> onnx.ModelProto:
    """Rewrite each layer into the form that a table names.

    Args:
        graph: graph from `to_onnx`, with fixed sizes.
        table: forms of the layers; other layers are not changed.

    Returns:
        A checked graph of standard operators. Its weights are constants, as quantizers need them. Opset, IR version, inputs
        and outputs are those of `graph`.
    """
    model, constants = _read(graph), Constants()
    rules = [kind.rule(table, constants) for kind in _RULES]  # type: ignore[no-untyped-call]
    RewriteRuleSet(rules).apply_to_model(model)
    fold_constants(model, input_size_limit=FOLDED, output_size_limit=FOLDED)
    common.RemoveUnusedNodesPass()(model)
    common.NameFixPass()(model)
    found: onnx.ModelProto = ir.serde.serialize_model(model)
    found.ir_version = graph.ir_version
    del found.graph.value_info[:]  # shapes of values that no longer exist
    onnx.checker.check_model(found, full_check=True)
    return found


def _read(graph: onnx.ModelProto) -> ir.Model:
    return ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(graph))
