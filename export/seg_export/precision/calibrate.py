"""Calibration: the smallest and largest value that each tensor of a network takes on real windows."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from seg_runtime.errors import DataError, ParityError
from seg_runtime.preprocess import Float
from seg_runtime.providers import available_threads, quiet
from seg_runtime.segment import Infer

Ranges = dict[str, tuple[float, float]]
"""Name of a float tensor -> its smallest and largest value."""


def ranges(graph: onnx.ModelProto, windows: Iterable[Float]) -> Ranges:
    """Ranges over all windows.

    The graph itself reduces each tensor to two numbers, so that memory does not grow with the windows.

    Args:
        graph: input `image`.
        windows: each `(1, C, *input_shape)` float32, as the runtime makes them.

    Raises:
        DataError: no window.
        ParityError: a tensor becomes NaN or infinite.
    """
    session, names = _reducing(graph)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    seen = 0
    for window in windows:
        values = np.array(session.run(None, {"image": window}), np.float64).reshape(-1, 2)
        if not np.isfinite(values).all():
            odd = names[int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])]
            raise ParityError(f"the network's tensor {odd} becomes NaN or infinite", "finite values", "train it again")
        low, high = np.minimum(low, values[:, 0]), np.maximum(high, values[:, 1])
        seen += 1
    if not seen:
        raise DataError("no window to calibrate on", "at least one image", "name a folder with images")
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def _reducing(graph: onnx.ModelProto) -> tuple[Any, list[str]]:
    """A session that gives the minimum and maximum of each float tensor, and their names."""
    inferred = onnx.shape_inference.infer_shapes(graph)
    weights = {t.name for t in inferred.graph.initializer}
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT} - weights
    names = sorted(floats)
    del inferred.graph.output[:]
    for name in names:
        for kind in ("ReduceMin", "ReduceMax"):
            told = f"{name} {kind}"
            inferred.graph.node.append(helper.make_node(kind, [name], [told], name=told, keepdims=0))
            inferred.graph.output.append(helper.make_tensor_value_info(told, TensorProto.FLOAT, []))
    return _session(inferred), names


def meaning(graph: onnx.ModelProto) -> Infer:
    """The graph computed operator by operator as ONNX defines them: no fused kernel, and so none that saturates."""
    session = _session(copy.deepcopy(graph), onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    return _infer(session)


def inferring(graph: onnx.ModelProto) -> Infer:
    """The graph as ONNX Runtime runs it by default."""
    return _infer(_session(graph))


def _infer(session: Any) -> Infer:
    def infer(window: Float) -> Float:
        logits: Float = session.run(["logits"], {"image": window})[0]
        return logits

    return infer


def _session(graph: onnx.ModelProto, level: Any = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads()
    options.log_severity_level = 4
    if level is not None:
        options.graph_optimization_level = level
    with quiet(onnxruntime):
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
