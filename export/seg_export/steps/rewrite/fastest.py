"""A graph in the forms that are fastest on this machine, where they are faster than the graph as it was.

`seg-export --tune` and `seg-run --tune` both come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import onnx
from seg_runtime.engine import available_threads, cpu_name, runtime_module

from .apply import rewritten
from .tune import Tuned, Watch, network_ms, tuned

PAIRS = 5  # windows of both graphs in turn, each in a session of its own
WORTH = 0.97  # of the time; a gain below is lost in noise, while the file grows


@dataclass(frozen=True)
class Fastest:
    """What was chosen here, and by which figures.

    Attributes:
        graph: in the forms of `forms`; the graph as it was where nothing is faster.
        forms: of the layers, by name; empty where nothing is faster.
        measured: in search of them.
        pairs_ms: ms of a window of the graph as it was and in the best forms found, in turn; empty where these are its own.
        machine: what measured.
    """

    graph: onnx.ModelProto
    forms: Mapping[str, str]
    measured: Tuned
    pairs_ms: tuple[tuple[float, float], ...]
    machine: Mapping[str, Any]

    @property
    def ratio(self) -> float | None:
        """Median of the pairs, best forms to the graph as it was; None where no other form was better alone."""
        return median(other / plain for plain, other in self.pairs_ms) if self.pairs_ms else None

    def provenance(self) -> dict[str, Any]:
        """What the contract's provenance says about it."""
        return {"rewritten": dict(self.forms), "tuned_on": dict(self.machine)}

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "forms": dict(self.forms),
            "ratio": self.ratio,
            "pairs_ms": [list(pair) for pair in self.pairs_ms],
            "layer_ms": self.measured.layer_ms,
            "network_ms": self.measured.network_ms,
            "machine": dict(self.machine),
        }

    def table(self) -> str:
        """The figures for a person."""
        wide = max((len(name) for ms in (self.measured.layer_ms, self.measured.network_ms) for name in ms), default=0)
        columns = list(dict.fromkeys(form for ms in self.measured.layer_ms.values() for form in ms))
        lines = ["forms measured on {processor}, {threads} threads, ONNX Runtime {onnxruntime}".format(**self.machine)]
        lines.append(f"  {'ms of a convolution':<{wide}}" + "".join(f"  {form:>9}" for form in columns))
        for name, ms in self.measured.layer_ms.items():
            lines.append(f"  {name:<{wide}}" + "".join(f"  {_ms(ms.get(form)):>9}" for form in columns))
        lines.append(f"  {'ms of a window':<{wide}}")
        lines += [f"  {name:<{wide}}  {_ms(ms):>9}" for name, ms in self.measured.network_ms.items()]
        return "\n".join([*lines, f"  {self._verdict()}"])

    def _verdict(self) -> str:
        if self.ratio is None:
            return "nothing is faster than the network as it was"
        name = min(self.measured.network_ms, key=self.measured.network_ms.__getitem__, default="")
        pairs = ", ".join(f"{other:.0f} / {plain:.0f}" for plain, other in self.pairs_ms)
        told = f"{name}: {self.ratio:.3f} of the time of the network as it was ({pairs} ms in turn)"
        return told if self.forms else f"{told}, which is not worth a larger file; {WORTH} would be"


def fastest(graph: onnx.ModelProto, watch: Watch = lambda done, total: None, threads: int | None = None) -> Fastest:
    """Measure the forms of a network on this machine's processors and take the best, if it is worth it.

    The search times each table once; another process may have slowed down a part of it. So the winner and the graph as
    it was are timed once more in turn, and the median of their ratios decides.

    Args:
        graph: of `to_onnx`, or of a file that was not rewritten.
        watch: called with measurements done and measurements in all.
        threads: of the measured sessions; None takes all that this process may use.
    """
    last = [0, 0]  # measurements done and in all, as the search told last

    def search(done: int, total: int) -> None:
        last[:] = done, total
        watch(done, total + PAIRS)

    found, pairs, forms = tuned(graph, search, threads), [], {}
    best = rewritten(graph, found.table) if found.table else graph
    for number in range(1, PAIRS + 1):
        if found.table:
            pairs.append((network_ms(graph, threads), network_ms(best, threads)))
        watch(last[0] + number, last[1] + PAIRS)
    if pairs and median(other / plain for plain, other in pairs) <= WORTH:
        forms = found.table
    machine = {
        "processor": cpu_name(),
        "threads": threads or available_threads(),
        "onnxruntime": str(runtime_module().__version__),
    }
    return Fastest(best if forms else graph, forms, found, tuple(pairs), machine)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
