"""PyTorch -> ONNX graph from one window of fixed size to logits, in operators that ONNX Runtime 1.18 supports."""

from __future__ import annotations

import onnx
import torch
from seg_runtime import Contract, SegError
from torch import nn

from .graph import IR_VERSION, OPSET, silenced


def to_onnx(model: nn.Module, contract: Contract) -> onnx.ModelProto:
    """Export the network as a checked ONNX model.

    Args:
        model: network, which is set to evaluation mode.
        contract: contract with the shape of the window.

    Returns:
        Model with the input `image` `(1, C, *input_shape)` float32 and the output `logits` `(1, K, *output_shape)` float32.
        Weights are stored in the model.

    Raises:
        SegError: if PyTorch cannot export the network, or the graph does not pass `onnx.checker`.
    """
    window = torch.zeros(1, contract.input.channels, *contract.geometry.input_shape)
    try:
        with silenced():
            program = torch.onnx.export(
                model.eval(), (window,), dynamo=True, opset_version=OPSET, input_names=["image"], output_names=["logits"],
                external_data=False, optimize=True, verbose=False,
            )  # fmt: skip
        assert program is not None  # PyTorch returns None only if it writes the file itself
        graph = program.model_proto
        graph.ir_version = IR_VERSION
        _forget_where_it_was_made(graph)
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # torch, onnxscript and onnx raise various errors
        raise SegError(
            f"PyTorch cannot export the network ({error})", "", "install the versions in constraints.txt"
        ) from error
    return graph


def _forget_where_it_was_made(graph: onnx.ModelProto) -> None:
    """Remove the stack traces and paths of the exporting machine that PyTorch stores in every node."""
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
