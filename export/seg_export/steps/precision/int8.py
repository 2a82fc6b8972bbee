"""int8: activations as u8 and weights as s8 per channel, in standard QuantizeLinear and DequantizeLinear nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from seg_runtime import SegError
from seg_runtime.engine import cpu_features

from ...graph import silenced, with_node_names

WEIGHTED = ("Conv", "ConvTranspose")
# The others only pass 8-bit values on: float between two convolutions would cost more time than it saves.
QUANTISED = (*WEIGHTED, "Relu", "MaxPool", "Concat", "Slice", "Pad", "DepthToSpace", "Transpose", "Reshape", "Resize")
DOT_PRODUCTS = ("AVX512_VNNI", "AVX_VNNI", "ASIMDDP")  # features for kernels that add products of u8 and s8 in 32 bits


def quantised(
    graph: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    keep: Collection[str] = (),
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """Convert a network to int8.

    Args:
        graph: any network in float32; its input `image` and output `logits` stay float32.
        ranges: `Spread.ranges` of this graph.
        keep: names of nodes that stay in float, see `with_node_names`.
        reduce_range: whether to store weights in 7 bits, so that kernels that add two products in 16 bits do not saturate.

    Returns:
        Network of standard operators. A ReLU becomes part of the zero point of its output, where u8 starts at 0.
        Logits are never rounded to 8 bits, because ties would assign many pixels to the first class.

    Raises:
        SegError: if the quantizer adds an operator that is not a standard ONNX operator.
    """
    model, known = with_node_names(graph), dict(ranges)
    ends = _last(model)
    for node in [n for n in model.graph.node if n.name in ends and n.name not in keep and _pointwise(n)]:
        ends = _multiplied(model, node, known)
    model = onnx.shape_inference.infer_shapes(model)
    data = {n: TensorData(lowest=np.float32(min(a, 0)), highest=np.float32(max(b, 0))) for n, (a, b) in known.items()}
    with silenced():
        quantizer = QDQQuantizer(
            model, per_channel=True, reduce_range=reduce_range, weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8, tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[], nodes_to_exclude=[*keep, *ends], op_types_to_quantize=[*QUANTISED, "MatMul"],
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
        )  # fmt: skip
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    _tidy(result, graph)
    return result


def layers(graph: onnx.ModelProto) -> list[tuple[str, ...]]:
    """Groups of nodes that can stay in float, as names of `with_node_names(graph)`: for each activation, its producer and
    all its consumers.

    A convolution alone would gain little, because its neighbours round its input and output to 8 bits.
    """
    model = with_node_names(graph)
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def read_by(outputs: Iterable[str]) -> Iterator[str]:
        for reader in (node for name in outputs for node in readers.get(name, ())):
            yield reader.name
            if reader.op_type not in WEIGHTED:
                yield from read_by(reader.output)

    makers = [n for n in model.graph.node if n.op_type in WEIGHTED and n.name not in _last(model)]
    groups = [tuple(read_by(v.name for v in model.graph.input)), *((n.name, *read_by(n.output)) for n in makers)]
    return [tuple(dict.fromkeys(group)) for group in groups]


def _last(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that compute the outputs."""
    outputs = {v.name for v in model.graph.output}
    return [n.name for n in model.graph.node if outputs & {*n.output}]


def saturates() -> bool:
    """Whether the u8 and s8 kernels of this processor may saturate: on x86 without VNNI, and on ARM without dot product.

    The result is True if the features of the processor are unknown.
    """
    features = cpu_features()
    return not any(features.get(name) for name in DOT_PRODUCTS)


def _pointwise(node: onnx.NodeProto) -> bool:
    kernel = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), None)
    return node.op_type == "Conv" and kernel == [1, 1]


def _multiplied(model: onnx.ModelProto, head: onnx.NodeProto, ranges: dict[str, tuple[float, float]]) -> list[str]:
    """Replace a 1×1 Conv by a MatMul over channels; returns the names of the nodes after the product.

    The integer kernels of ONNX Runtime produce maps with channels last, in which a MatMul can be computed directly. A Conv
    with float output needs channels first: 3.5 % of the time of a window instead of 0.9 %.
    """
    graph, name = model.graph, head.name
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name in head.input}
    weight = np.ascontiguousarray(tensors[head.input[1]][:, :, 0, 0].T)  # (C, K)
    bias = tensors[head.input[2]] if len(head.input) > 2 else np.zeros(weight.shape[1], np.float32)
    graph.initializer.append(numpy_helper.from_array(weight, f"{name} weight"))
    graph.initializer.append(numpy_helper.from_array(bias, f"{name} bias"))
    last, product, total = (f"{name} {what}" for what in ("last", "product", "total"))
    ranges[last] = ranges[head.input[0]]
    steps = [
        helper.make_node("Transpose", [head.input[0]], [last], name=last, perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", [last, f"{name} weight"], [product], name=name),
        helper.make_node("Add", [product, f"{name} bias"], [total], name=total),
        helper.make_node("Transpose", [total], [head.output[0]], name=f"{name} first", perm=[0, 3, 1, 2]),
    ]
    place = list(graph.node).index(head)
    graph.node.remove(head)
    for step in reversed(steps):
        graph.node.insert(place, step)
    return [total, f"{name} first"]


def _tidy(result: onnx.ModelProto, source: onnx.ModelProto) -> None:
    """Restore the versions of the source, and remove metadata of the quantizer."""
    domains = {n.domain for n in result.graph.node}
    if odd := domains - {"", "ai.onnx"}:
        problem = f"the quantizer used operators of {sorted(odd)}"
        raise SegError(problem, "standard operators", "report this as a bug")
    del result.opset_import[:]
    result.opset_import.extend(source.opset_import)
    result.ir_version = source.ir_version
    del result.metadata_props[:], result.graph.value_info[:]
    used = {name for n in result.graph.node for name in n.input}
    kept = [t for t in result.graph.initializer if t.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    onnx.checker.check_model(result, full_check=True)
