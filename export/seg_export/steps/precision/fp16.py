"""fp16: the network in half precision, with input and output in float32."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16, convert_np_to_float16

from ...graph import with_node_names

LARGEST = 65504 / 4
"""Largest value of a tensor in fp16, with headroom for images that are not in the calibration."""


def halved(graph: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Convert a network to fp16.

    Args:
        graph: any network in float32.
        keep: names of nodes of `with_node_names(graph)` that stay in float32.

    Returns:
        The network, with input `image` and output `logits` in float32, and casts between the precisions.
    """
    result: onnx.ModelProto = convert_float_to_float16(
        with_node_names(graph), keep_io_types=True, node_block_list=list(keep)
    )
    _direct(result)
    ONNXModel(result).topological_sort()  # the converter appends its casts at the end
    result.ir_version = graph.ir_version
    del result.graph.value_info[:]
    onnx.checker.check_model(result, full_check=True)
    return result


def rounded(graph: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Simulate `halved` on a CPU: float32, with each weight and tensor that would be fp16 rounded to fp16.

    On a CPU, ONNX Runtime computes an fp16 file with fp16 weights but keeps activations in float32, whatever the file says.
    So rounding or overflow of activations would not be detected. Sums are in float32, as in cuDNN.
    """
    model = onnx.shape_inference.infer_shapes(with_node_names(graph))
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    weights = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes: list[onnx.NodeProto] = []
    known: dict[str, str] = {}

    def through_fp16(name: str, result: str) -> str:
        half = f"{result} fp16"
        nodes.append(helper.make_node("Cast", [name], [half], to=TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", [half], [result], to=TensorProto.FLOAT))
        return result

    for node in model.graph.node:
        kept = node.name in keep
        for i, name in enumerate(node.input):
            if name in weights and not kept:
                half = convert_np_to_float16(numpy_helper.to_array(weights[name])).astype("float32")
                weights[name].CopyFrom(numpy_helper.from_array(half, name))
            elif name in floats and not kept:
                if name not in known:
                    known[name] = through_fp16(name, f"{name} rounded")
                node.input[i] = known[name]
        outputs = [name for name in node.output if name in floats and not kept]
        node.output[:] = [f"{name} exact" if name in outputs else name for name in node.output]
        nodes.append(node)
        for name in outputs:
            known[name] = through_fp16(f"{name} exact", name)
    ordered = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:]
    model.graph.node.extend(ordered)
    del model.graph.value_info[:]
    return model


def _direct(model: onnx.ModelProto) -> None:
    """Remove casts to fp16 and back between two nodes in float32, which the converter adds and in which values overflow."""
    graph = model.graph
    makers = {name: n for n in graph.node for name in n.output}
    outputs = {v.name for v in graph.output}
    for back in [n for n in graph.node if n.op_type == "Cast" and _to(n) == TensorProto.FLOAT]:
        there = makers.get(back.input[0])
        if there is None or there.op_type != "Cast" or _to(there) != TensorProto.FLOAT16:
            continue
        old, new = back.output[0], there.input[0]
        if old in outputs:  # keep the name of an output
            old, new = new, old
        graph.node.remove(back)
        for node in graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
    read = {name for n in graph.node for name in n.input} | outputs
    for idle in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in read]:
        graph.node.remove(idle)


def _to(cast: onnx.NodeProto) -> int:
    return next(int(a.i) for a in cast.attribute if a.name == "to")


def in_float(graph: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Nodes to keep in float32: the one that computes the logits, and those with inputs or outputs too large for fp16."""
    model = with_node_names(graph)
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
    ends = {**ranges} | {name: (float(w.min()), float(w.max())) for name, w in weights.items() if w.size}
    large = {name for name, (low, high) in ends.items() if max(-low, high) > LARGEST}
    last = {v.name for v in model.graph.output}
    return tuple(n.name for n in model.graph.node if large & {*n.input, *n.output} or last & {*n.output})
