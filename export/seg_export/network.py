"""torch -> ONNX graph: one fixed window in, logits out, in operators that ONNX Runtime 1.18 knows."""

from __future__ import annotations

import onnx
import torch
from seg_runtime import Contract, SegError
from torch import nn

from .graph import IR_VERSION, OPSET, silenced


def to_onnx(model: nn.Module, contract: Contract) -> onnx.ModelProto:
    """The network as a checked ONNX model.

    Args:
        model: in evaluation mode.
        contract: gives the window's shape.

    Returns:
        Input `image` `(1, C, *input_shape)` float32, output `logits` `(1, K, *output_shape)` float32, weights inside.

    Raises:
        SegError: torch cannot export it, or the graph does not pass `onnx.checker`.
    """
    window = torch.zeros(1, contract.input.channels, *contract.geometry.input_shape)
    try:
        with silenced():
            program = torch.onnx.export(
                model.eval(), (window,), dynamo=True, opset_version=OPSET, input_names=["image"], output_names=["logits"],
                external_data=False, optimize=True, verbose=False,
            )  # fmt: skip
        assert program is not None  # torch returns None only when it writes the file itself
        graph = program.model_proto
        graph.ir_version = IR_VERSION
        _forget_where_it_was_made(graph)
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # torch, onnxscript and onnx raise their own kinds
        raise SegError(
            f"torch could not export the network ({error})", "", "check the versions in constraints.txt"
        ) from error
    return graph


def _forget_where_it_was_made(graph: onnx.ModelProto) -> None:
    """Drop stack traces and paths of the exporting machine, which torch leaves in every node."""
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info, *graph.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    graph.doc_string = ""
    graph.graph.doc_string = ""
