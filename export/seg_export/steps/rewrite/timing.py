"""Measuring which form of each layer is fastest on this machine, for `seg-export --tune` and `seg-edge tune`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from seg_runtime.engine import available_threads, cpu_name, open_graph, runtime_module
from seg_runtime.support import table

from .apply import default_table, forms_of, layers_of, rewritten
from .layers import Layer, Table

LAYER_RUNS, NETWORK_RUNS = 5, 3  # the shortest time is used, because noise only adds time
PAIRS = 5  # windows of both graphs in turn, each in its own session
WORTH = 0.97  # largest ratio of times; smaller gains are lost in noise, while the file grows

Watch = Callable[[int, int], None]
"""Called with the number of measurements done and the total."""


@dataclass
class Measured:
    """Measurements on this machine.

    Attributes:
        table: the fastest table.
        layer_ms: time in ms of each convolution alone, in each of its forms.
        network_ms: time in ms of a window, for each table.
    """

    table: dict[str, str] = field(default_factory=dict)
    layer_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    network_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fastest:
    """The fastest forms on this machine, with their measurements.

    Attributes:
        graph: graph in these forms, or the original graph if nothing is faster.
        forms: forms of the layers by name; empty if nothing is faster.
        measured: measurements of the search.
        pairs_ms: times in ms of a window of the original graph and of the best forms, in turn; empty if they are equal.
        machine: machine that measured.
    """

    graph: onnx.ModelProto
    forms: Mapping[str, str]
    measured: Measured
    pairs_ms: tuple[tuple[float, float], ...]
    machine: Mapping[str, Any]

    @property
    def ratio(self) -> float | None:
        """Median ratio of the pairs, best forms to original graph; None if the search found nothing faster."""
        return median(other / plain for plain, other in self.pairs_ms) if self.pairs_ms else None

    def provenance(self) -> dict[str, Any]:
        """Return the entries for the provenance of the contract."""
        return {"rewritten": dict(self.forms), "tuned_on": dict(self.machine)}

    def as_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
        return {
            "forms": dict(self.forms),
            "ratio": self.ratio,
            "pairs_ms": [list(pair) for pair in self.pairs_ms],
            "layer_ms": self.measured.layer_ms,
            "network_ms": self.measured.network_ms,
            "machine": dict(self.machine),
        }

    def table(self) -> str:
        """Format the figures for the user."""
        layers, networks = self.measured.layer_ms, self.measured.network_ms
        forms = list(dict.fromkeys(form for ms in layers.values() for form in ms))
        rows = [
            ("ms per convolution", _columns(forms)),
            *((name, _columns([_ms(ms.get(form)) for form in forms])) for name, ms in layers.items()),
            ("ms per window", ""),
            *((name, _columns([_ms(ms)])) for name, ms in networks.items()),
        ]
        title = "forms measured on {processor}, {threads} threads, ONNX Runtime {onnxruntime}".format(**self.machine)
        return f"{table(rows, title)}\n  {self._verdict()}"

    def _verdict(self) -> str:
        if self.ratio is None:
            return "nothing is faster than the original network"
        name = min(self.measured.network_ms, key=self.measured.network_ms.__getitem__, default="")
        pairs = ", ".join(f"{other:.0f} / {plain:.0f}" for plain, other in self.pairs_ms)
        figures = f"{name}: {self.ratio:.3f} of the time of the original network ({pairs} ms in turn)"
        return figures if self.forms else f"{figures}; a larger file is worth it from {WORTH} on"


def fastest(graph: onnx.ModelProto, watch: Watch = lambda done, total: None, threads: int | None = None) -> Fastest:
    """Measure the forms of a network on this machine, and use the best if it is worth it.

    The search times each table once, and another process may slow down a part of it. So the winner and the original graph
    are timed again in turn, and the median of their ratios decides.

    Args:
        graph: graph from `to_onnx`, or of a file that is not rewritten.
        watch: see `Watch`.
        threads: number of threads; None for all that this process may use.
    """
    last = [0, 0]  # measurements done and total of the search

    def search(done: int, total: int) -> None:
        last[:] = done, total
        watch(done, total + PAIRS)

    found, pairs, forms = measure(graph, search, threads), [], {}
    best = rewritten(graph, found.table) if found.table else graph
    for number in range(1, PAIRS + 1):
        if found.table:
            pairs.append((_network_ms(graph, threads), _network_ms(best, threads)))
        watch(last[0] + number, last[1] + PAIRS)
    if pairs and median(other / plain for plain, other in pairs) <= WORTH:
        forms = found.table
    machine = {
        "processor": cpu_name(),
        "threads": threads or available_threads(),
        "onnxruntime": str(runtime_module().__version__),
    }
    return Fastest(best if forms else graph, forms, found, tuple(pairs), machine)


def measure(graph: onnx.ModelProto, watch: Watch = lambda done, total: None, threads: int | None = None) -> Measured:
    """Time the forms of a network on this machine.

    Convolutions are timed alone, in each form. The time of crops, up-convolutions and joined maps depends on the layouts
    around them, so they are timed in the whole network. The exported graph and the default table are among the tables
    tried, and the fastest of all is returned.

    Args:
        graph: graph from `to_onnx`.
        watch: see `Watch`.
        threads: number of threads; None for all that this process may use.
    """
    layers = layers_of(graph)
    convs = [layer for layer in layers if layer.kind == "conv"]
    found = Measured()
    total = len(convs) + len(_tables(layers, {}))
    for layer in convs:
        found.layer_ms[layer.name] = {form: _layer_ms(layer, form, threads) for form in forms_of(layer)}
        watch(len(found.layer_ms), total)
    best = {name: min(ms, key=ms.__getitem__) for name, ms in found.layer_ms.items()}
    tables = _tables(layers, best)
    for name, forms in tables.items():
        found.network_ms[name] = _network_ms(rewritten(graph, forms), threads)
        watch(len(convs) + len(found.network_ms), total)
    found.table = tables[min(found.network_ms, key=found.network_ms.__getitem__)]
    return found


def _tables(layers: list[Layer], convs: Table) -> dict[str, dict[str, str]]:
    """Make the tables to try in the whole network."""
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
    """Time one convolution with its ReLU, on random maps and weights, with its input in the default layout."""
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


def _network_ms(graph: onnx.ModelProto, threads: int | None = None) -> float:
    """Measure the shortest time of a window, in its own session."""
    shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
    window = np.random.default_rng(0).random(shape, dtype=np.float32)
    return _shortest_ms(graph, {graph.graph.input[0].name: window}, NETWORK_RUNS, threads)


def _shortest_ms(graph: onnx.ModelProto, feeds: dict[str, NDArray[Any]], runs: int, threads: int | None) -> float:
    """Measure the shortest of some runs after a warm-up, in one session as in seg-run, because idle sessions disturb others."""
    session = open_graph(graph.SerializeToString(), threads=threads)
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        session.run(None, feeds)
        times.append((time.perf_counter() - start) * 1000)
    return min(times[1:])


def _columns(values: Sequence[str]) -> str:
    return "  ".join(f"{value:>9}" for value in values)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
