"""Which form each layer gets on this machine: measured, not guessed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from seg_runtime.engine import open_graph

from .apply import layers_of, rewritten
from .default import default_table
from .layers import FORMS, Layer, Table
from .pad import PACK

LAYER_RUNS, NETWORK_RUNS = 5, 3  # the shortest counts: noise only ever adds

Watch = Callable[[int, int], None]


@dataclass
class Tuned:
    """What was measured here.

    Attributes:
        table: the fastest.
        layer_ms: of each convolution in each of its forms, alone.
        network_ms: of a window in each table that was tried whole.
    """

    table: dict[str, str] = field(default_factory=dict)
    layer_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    network_ms: dict[str, float] = field(default_factory=dict)


def tuned(graph: onnx.ModelProto, watch: Watch = lambda done, total: None, threads: int | None = None) -> Tuned:
    """Time the forms of a network on this machine's processors.

    Convolutions are timed alone, in each form. Crops, up-convolutions and joined maps cost what the layouts around them
    cost, so that they are timed in the whole network. What torch exports and the default table are among the tables
    tried: the answer is the fastest of all.

    Args:
        graph: of `to_onnx`.
        watch: called with measurements done and measurements in all.
        threads: of the measured sessions; None takes all that this process may use.
    """
    layers = layers_of(graph)
    convs = [layer for layer in layers if layer.kind == "conv"]
    found = Tuned()
    total = len(convs) + len(_tables(layers, {}))
    for layer in convs:
        found.layer_ms[layer.name] = {form: _layer_ms(layer, form, threads) for form in _forms(layer)}
        watch(len(found.layer_ms), total)
    best = {name: min(ms, key=ms.__getitem__) for name, ms in found.layer_ms.items()}
    tables = _tables(layers, best)
    for name, table in tables.items():
        found.network_ms[name] = network_ms(rewritten(graph, table), threads)
        watch(len(convs) + len(found.network_ms), total)
    found.table = tables[min(found.network_ms, key=found.network_ms.__getitem__)]
    return found


def _forms(layer: Layer) -> list[str]:
    """The forms of a convolution that differ from torch's for this layer."""
    idle = set() if len(layer.parts) > 1 else {"split"}
    return [
        form for form in FORMS["conv"] if form not in idle and not (form == "padded" and layer.channels % PACK == 0)
    ]


def _tables(layers: list[Layer], convs: Table) -> dict[str, dict[str, str]]:
    """Tables to be tried whole."""
    own = {n: form for n, form in convs.items() if form != "direct"}
    crops = {layer.name: "dilated" for layer in layers if layer.kind == "crop"}
    split = {layer.name: "split" for layer in layers if len(layer.parts) > 1 and layer.name not in own}
    shuffled = {layer.name: "shuffled" for layer in layers if layer.kind == "up"}
    return {
        "torch": {},
        "default": default_table(layers),
        "layers": own,
        "layers, crops": {**own, **crops},
        "layers, crops, joined maps": {**own, **crops, **split},
        "layers, crops, joined maps, up-convolutions": {**own, **crops, **split, **shuffled},
    }


def _layer_ms(layer: Layer, form: str, threads: int | None) -> float:
    """One convolution with its ReLU, on random maps and weights, its input as it comes from elsewhere."""
    rng = np.random.default_rng(0)
    names = [f"part{i}" for i in range(len(layer.parts))]
    shapes = [[1, channels, *layer.size] for channels in layer.parts]
    out = [1, layer.maps, *(n - 2 for n in layer.size)]
    weight = rng.standard_normal((layer.maps, layer.channels, 3, 3), dtype=np.float32)
    nodes = [helper.make_node("Concat", names, ["joined"], axis=1)] if len(names) > 1 else []
    source = "joined" if nodes else names[0]
    nodes += [helper.make_node("Conv", [source, layer.name], ["sums"], kernel_shape=[3, 3], strides=[1, 1])]
    nodes += [helper.make_node("Relu", ["sums"], ["answer"])]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip(names, shapes, strict=True)]
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, out)
    graph = helper.make_graph(nodes, "layer", values, [answer], [numpy_helper.from_array(weight, layer.name)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    feeds = {n: rng.random(s, dtype=np.float32) for n, s in zip(names, shapes, strict=True)}
    return _shortest_ms(rewritten(model, {layer.name: form}), feeds, LAYER_RUNS, threads)


def network_ms(graph: onnx.ModelProto, threads: int | None = None) -> float:
    """The shortest time of a window, in a session of its own."""
    shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
    window = np.random.default_rng(0).random(shape, dtype=np.float32)
    return _shortest_ms(graph, {graph.graph.input[0].name: window}, NETWORK_RUNS, threads)


def _shortest_ms(graph: onnx.ModelProto, feeds: dict[str, NDArray[Any]], runs: int, threads: int | None) -> float:
    """Of some runs after one that warms up, in a session as seg-run opens it, alone: idle sessions disturb others."""
    session = open_graph(graph.SerializeToString(), threads=threads)
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        session.run(None, feeds)
        times.append((time.perf_counter() - start) * 1000)
    return min(times[1:])
