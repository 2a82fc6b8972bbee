"""int8: activations as u8 and weights as s8 per channel, in QuantizeLinear and DequantizeLinear of the standard."""

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
# The others pass 8-bit values on: a float island between two convolutions costs more than it saves.
QUANTISED = (*WEIGHTED, "Relu", "MaxPool", "Concat", "Slice", "Pad", "DepthToSpace", "Transpose", "Reshape", "Resize")
DOT_PRODUCTS = ("AVX512_VNNI", "AVX_VNNI", "ASIMDDP")  # kernels that add products of u8 and s8 in 32 bits


def quantised(
    graph: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    keep: Collection[str] = (),
    reduce_range: bool = False,
) -> onnx.ModelProto:
    """The network in int8.

    Args:
        graph: any network of float32; input `image`, output `logits`, which stay float32.
        ranges: of `Spread.ranges` for this graph.
        keep: names of nodes that stay in float, see `with_node_names`.
        reduce_range: weights in 7 bits, so that kernels which add two products in 16 bits do not saturate.

    Returns:
        Standard operators only. A ReLU is folded into the zero point of what it feeds: u8 begins at 0 there.
        Logits are never rounded to 8 bits: they would tie in many pixels, and all of those fall to the first class.

    Raises:
        SegError: the quantizer leaves something out or puts in an operator that is not ONNX's own.
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
    """What can stay in float, as names of `with_node_names(graph)`: for each activation, what makes it and all that reads it.

    A convolution alone would gain little: what it reads and what it makes are rounded to 8 bits by its neighbours.
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
    """The nodes that make the outputs."""
    outputs = {v.name for v in model.graph.output}
    return [n.name for n in model.graph.node if outputs & {*n.output}]


def saturates() -> bool:
    """Whether this processor's kernels for u8 and s8 may saturate: x86 without VNNI, and ARM without dot product.

    Where the processor does not say, they may.
    """
    features = cpu_features()
    return not any(features.get(name) for name in DOT_PRODUCTS)


def _pointwise(node: onnx.NodeProto) -> bool:
    kernel = next((list(a.ints) for a in node.attribute if a.name == "kernel_shape"), None)
    return node.op_type == "Conv" and kernel == [1, 1]


def _multiplied(model: onnx.ModelProto, head: onnx.NodeProto, ranges: dict[str, tuple[float, float]]) -> list[str]:
    """Write a 1×1 Conv as a MatMul over channels; gives the names of what comes after the product.

    ONNX Runtime leaves the maps of its integer kernels channels last, and multiplies them there. A Conv that gives floats needs
    them the other way round: 3.5 % of a window's time instead of 0.9 %.
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
    """Keep the versions of the source; what the quantizer notes besides the graph goes."""
    domains = {n.domain for n in result.graph.node}
    if odd := domains - {"", "ai.onnx"}:
        raise SegError(f"the quantizer used operators of {sorted(odd)}", "standard ones", "report this")
    del result.opset_import[:]
    result.opset_import.extend(source.opset_import)
    result.ir_version = source.ir_version
    del result.metadata_props[:], result.graph.value_info[:]
    used = {name for n in result.graph.node for name in n.input}
    kept = [t for t in result.graph.initializer if t.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    onnx.checker.check_model(result, full_check=True)
