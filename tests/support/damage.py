"""Models that are wrong in one way, and right in all others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from seg_export.graph import stamped
from seg_runtime.model.contract import Contract
from seg_runtime.model.digest import sealed

from .models import Made


def resealed(path: Path, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """The model after `change`, with a right digest, so that only the self-test can notice."""
    proto = onnx.load(path)
    del proto.metadata_props[-1]
    change(proto)
    return sealed(proto.SerializeToString())


def spoil_one_weight(proto: onnx.ModelProto) -> None:
    tensor = next(t for t in proto.graph.initializer if t.name == "head.weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[0] += 0.01 * np.abs(values).max()
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def breaking_model(model: Made) -> bytes:
    """A model that loads and fails while it runs, as one does on a GPU whose memory is full."""
    helper, contract = onnx.helper, model.contract
    image = helper.make_tensor_value_info("image", 1, [1, 3, 252, 252])
    logits = helper.make_tensor_value_info("logits", 1, [1, 2, 68, 68])
    nodes = [
        helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["far"], to=7),
        helper.make_node("Add", ["far", "million"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["row"], axis=0),
        helper.make_node("Add", ["base", "row"], ["logits"]),
    ]
    weights = [
        helper.make_tensor("million", 7, [], [10**9]),
        helper.make_tensor("table", 1, [2], [0.0, 1.0]),
        helper.make_tensor("base", 1, [1, 2, 68, 68], [0.0] * (2 * 68 * 68)),
    ]
    graph = helper.make_graph(nodes, "breaks", [image], [logits], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return stamped(proto, Contract.from_json(contract.to_json()))
