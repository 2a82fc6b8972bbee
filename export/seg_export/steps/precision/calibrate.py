"""Calibration: the ranges of all tensors of a network on real windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from seg_runtime import DataError, Float, Infer, ParityError
from seg_runtime.engine import open_graph

SAMPLE = 16384  # evenly spaced values per tensor and window: 0.5 million for 32 windows, at most 4 MB per tensor


@dataclass(frozen=True)
class Spread:
    """Distribution of the values of the tensors of a graph."""

    extremes: dict[str, tuple[float, float]]
    """Name of a float tensor -> its smallest and largest value."""
    samples: dict[str, Float]
    """Name -> `(n,)` float32, evenly spaced values of all windows, sorted."""

    def ranges(self, tail: float = 0.0) -> dict[str, tuple[float, float]]:
        """Compute the ranges that 8 bits represent.

        Args:
            tail: fraction of the values to clip at each end; 0 for none.
        """
        if not tail:
            return self.extremes
        ends = [tail, 1 - tail]
        found = {name: np.quantile(values, ends) for name, values in self.samples.items()}
        return {name: (float(low), float(high)) for name, (low, high) in found.items()}

    @classmethod
    def of(cls, graph: onnx.ModelProto, windows: Iterable[Float]) -> Spread:
        """Compute ranges and samples over all windows.

        The graph itself reduces each tensor to its extremes and some values, so that memory hardly grows with the number of
        windows.

        Args:
            graph: network with the input `image`.
            windows: windows of the runtime, `(1, C, *input_shape)` float32 each.

        Raises:
            DataError: if there is no window.
            ParityError: if a tensor becomes NaN or infinite.
        """
        session, names = _reducing(graph)
        samples: list[list[Float]] = [[] for _ in names]
        low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
        seen = 0
        for window in windows:
            answers = session.run(None, {"image": window})
            values = np.array([answers[0::3], answers[1::3]], np.float64).T
            if not np.isfinite(values).all():
                odd = names[int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])]
                problem = f"the tensor {odd} of the network becomes NaN or infinite"
                raise ParityError(problem, "", "train the model again")
            low, high = np.minimum(low, values[:, 0]), np.maximum(high, values[:, 1])
            for kept, some in zip(samples, answers[2::3], strict=True):
                kept.append(some)
            seen += 1
        if not seen:
            raise DataError("there is no window to calibrate on", "", "use a folder with images")
        extremes = {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
        return cls(extremes, {name: np.sort(np.concatenate(s)) for name, s in zip(names, samples, strict=True)})


def _reducing(graph: onnx.ModelProto) -> tuple[Any, list[str]]:
    """Open a session that returns minimum, maximum and some values of each float tensor; also return their names."""
    inferred = onnx.shape_inference.infer_shapes(graph)
    weights = {t.name for t in inferred.graph.initializer}
    values = (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values
              if v.type.tensor_type.elem_type == TensorProto.FLOAT and v.name not in weights}  # fmt: skip
    names = sorted(shapes)
    end = np.iinfo(np.int64).max
    inferred.graph.initializer.extend(_ints({"row": [-1], "first": [0], "end": [end], "axis": [0]}))
    del inferred.graph.output[:]
    for name in names:
        for kind in ("ReduceMin", "ReduceMax"):
            reduced = f"{name} {kind}"
            inferred.graph.node.append(helper.make_node(kind, [name], [reduced], name=reduced, keepdims=0))
            inferred.graph.output.append(helper.make_tensor_value_info(reduced, TensorProto.FLOAT, []))
        row, some, step = (f"{name} {what}" for what in ("row", "some", "step"))
        # an odd step, so that the values are not from the same columns of an image
        inferred.graph.initializer.extend(_ints({step: [int(np.prod(shapes[name])) // SAMPLE | 1]}))
        inferred.graph.node.append(helper.make_node("Reshape", [name, "row"], [row], name=row))
        inferred.graph.node.append(helper.make_node("Slice", [row, "first", "end", "axis", step], [some], name=some))
        inferred.graph.output.append(helper.make_tensor_value_info(some, TensorProto.FLOAT, [None]))
    return open_graph(inferred.SerializeToString()), names


def _ints(values: dict[str, list[int]]) -> list[TensorProto]:
    return [numpy_helper.from_array(np.array(v, np.int64), name) for name, v in values.items()]


def infer_of(graph: onnx.ModelProto, *, exact: bool = False) -> Infer:
    """Wrap a graph as a function that ONNX Runtime computes on the CPU.

    Args:
        graph: network with the input `image` and the output `logits`.
        exact: compute each operator as ONNX defines it, without fused kernels, which might saturate.
    """
    session = open_graph(graph.SerializeToString(), optimize=not exact)

    def infer(window: Float) -> Float:
        logits: Float = session.run(["logits"], {"image": window})[0]
        return logits

    return infer
