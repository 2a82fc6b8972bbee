"""int8: activations as u8 and weights as s8 per channel, in QuantizeLinear and DequantizeLinear of the standard."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from seg_runtime.errors import SegError
from seg_runtime.hardware import cpu_features

from .calibrate import Ranges

WEIGHTED = ("Conv", "ConvTranspose")
# The others pass 8-bit values on: a float island between two convolutions costs more than it saves.
QUANTISED = (*WEIGHTED, "Relu", "MaxPool", "Concat", "Slice", "Pad", "DepthToSpace", "Transpose", "Reshape", "Resize")
DOT_PRODUCTS = ("AVX512_VNNI", "AVX_VNNI", "ASIMDDP")  # kernels that add products of u8 and s8 in 32 bits


def quantised(
    graph: onnx.ModelProto, ranges: Ranges, keep: Collection[str] = (), reduce_range: bool = False
) -> onnx.ModelProto:
    """The network in int8.

    Args:
        graph: any network of float32; input `image`, output `logits`, which stay float32.
        ranges: of `calibrate.ranges` for this graph.
        keep: names of nodes that stay in float, see `named`.
        reduce_range: weights in 7 bits, so that kernels which add two products in 16 bits do not saturate.

    Returns:
        Standard operators only. A ReLU is folded into the zero point of what it feeds: u8 begins at 0 there.

    Raises:
        SegError: the quantizer leaves something out or puts in an operator that is not ONNX's own.
    """
    model = onnx.shape_inference.infer_shapes(named(graph))
    data = {n: TensorData(lowest=np.float32(min(a, 0)), highest=np.float32(max(b, 0))) for n, (a, b) in ranges.items()}
    with _quiet():
        quantizer = QDQQuantizer(
            model, per_channel=True, reduce_range=reduce_range, weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8, tensors_range=TensorsData(CalibrationMethod.MinMax, data),
            nodes_to_quantize=[], nodes_to_exclude=list(keep), op_types_to_quantize=list(QUANTISED), extra_options={},
        )  # fmt: skip
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    _tidy(result, graph)
    return result


def named(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with a name for each node: the quantizer tells nodes apart by it."""
    result: onnx.ModelProto = onnx.ModelProto.FromString(graph.SerializeToString())
    taken = {n.name for n in result.graph.node}
    for place, node in enumerate(result.graph.node):
        if not node.name:
            node.name = next(n for n in (f"{node.op_type}_{place}{'_' * i}" for i in range(9)) if n not in taken)
            taken.add(node.name)
    return result


def layers(graph: onnx.ModelProto) -> list[tuple[str, ...]]:
    """What can stay in float, as names of `named(graph)`: each convolution, and each concatenation."""
    return [(n.name,) for n in named(graph).graph.node if n.op_type in (*WEIGHTED, "Concat")]


def saturates() -> bool:
    """Whether this processor's kernels for u8 and s8 may saturate: x86 without VNNI, and ARM without dot product.

    Where that cannot be told, they may.
    """
    features = cpu_features()
    return not any(features.get(name) for name in DOT_PRODUCTS)


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer's warnings are advice for other networks; what matters is measured by the gate."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
