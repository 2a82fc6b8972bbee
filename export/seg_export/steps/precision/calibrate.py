"""Calibration: the values that each tensor of a network takes on real windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from seg_runtime import DataError, Float, Infer, ParityError
from seg_runtime.engine import open_graph

SAMPLE = (
    16384  # values of each tensor and window, evenly spaced: 0.5 million of 32 windows, 4 MB for each tensor at most
)


@dataclass(frozen=True)
class Spread:
    """What values the tensors of a graph take."""

    extremes: dict[str, tuple[float, float]]
    """Name of a float tensor -> the smallest and largest of all its values."""
    samples: dict[str, Float]
    """Name -> `(n,)` float32, evenly spaced values of all windows, sorted."""

    def ranges(self, tail: float = 0.0) -> dict[str, tuple[float, float]]:
        """What 8 bits are laid over.

        Args:
            tail: share of the values that may lie beyond each end and are cut off; 0 for none.
        """
        if not tail:
            return self.extremes
        ends = [tail, 1 - tail]
        found = {name: np.quantile(values, ends) for name, values in self.samples.items()}
        return {name: (float(low), float(high)) for name, (low, high) in found.items()}

    @classmethod
    def of(cls, graph: onnx.ModelProto, windows: Iterable[Float]) -> Spread:
        """Ranges and samples over all windows.

        The graph itself reduces each tensor to its ends and a few values, so that memory hardly grows with the windows.

        Args:
            graph: input `image`.
            windows: each `(1, C, *input_shape)` float32, as the runtime makes them.

        Raises:
            DataError: no window.
            ParityError: a tensor becomes NaN or infinite.
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
                raise ParityError(
                    f"the network's tensor {odd} becomes NaN or infinite", "finite values", "train it again"
                )
            low, high = np.minimum(low, values[:, 0]), np.maximum(high, values[:, 1])
            for kept, some in zip(samples, answers[2::3], strict=True):
                kept.append(some)
            seen += 1
        if not seen:
            raise DataError("no window to calibrate on", "at least one image", "name a folder with images")
        extremes = {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
        return cls(extremes, {name: np.sort(np.concatenate(s)) for name, s in zip(names, samples, strict=True)})


def _reducing(graph: onnx.ModelProto) -> tuple[Any, list[str]]:
    """A session that gives the minimum, the maximum and some values of each float tensor, and their names."""
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
        # an odd step, so that it does not keep to the same columns of an image
        inferred.graph.initializer.extend(_ints({step: [int(np.prod(shapes[name])) // SAMPLE | 1]}))
        inferred.graph.node.append(helper.make_node("Reshape", [name, "row"], [row], name=row))
        inferred.graph.node.append(helper.make_node("Slice", [row, "first", "end", "axis", step], [some], name=some))
        inferred.graph.output.append(helper.make_tensor_value_info(some, TensorProto.FLOAT, [None]))
    return open_graph(inferred.SerializeToString()), names


def _ints(values: dict[str, list[int]]) -> list[TensorProto]:
    return [numpy_helper.from_array(np.array(v, np.int64), name) for name, v in values.items()]


def infer_of(graph: onnx.ModelProto, *, exact: bool = False) -> Infer:
    """A graph as ONNX Runtime computes it on the CPU.

    Args:
        graph: input `image`, output `logits`.
        exact: compute it operator by operator as ONNX defines them: no fused kernel, and so none that saturates.
    """
    session = open_graph(graph.SerializeToString(), optimize=not exact)

    def infer(window: Float) -> Float:
        logits: Float = session.run(["logits"], {"image": window})[0]
        return logits

    return infer
