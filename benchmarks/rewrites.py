"""What each rewrite buys alone: `python -m benchmarks.rewrites [--forms a,b] [--pairs 7] [--json FILE] [--quick]`.

A window with one form of layers rewritten against the window of the plain graph, in turn, in one run. A form is measured in the
precision whose default table uses it, on the layers to which that table gives it; one that no table uses, in both precisions and on all
layers that can take it. int8 weights are random, and its ranges come from random windows: for speed alone.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from seg_export.network import to_onnx
from seg_export.steps.precision.calibrate import Spread
from seg_export.steps.precision.int8 import quantised, saturates
from seg_export.steps.rewrite.apply import default_table, forms_of, layers_of, rewritten
from seg_export.steps.rewrite.layers import FORMS, Layer
from seg_runtime.engine import open_graph
from seg_runtime.pipeline import Float
from seg_runtime.segmenter import Infer

from .measure import machine, milliseconds, pairs, random_checkpoint, save_json, table
from .speed_rows import say

PRECISIONS = ("fp32", "int8")
REWRITES = {form: kind for kind, forms in FORMS.items() for form in forms[1:]}


@dataclass(frozen=True)
class Case:
    """A form to measure: where, in which precision, and whether the default table has it there."""

    form: str
    precision: str
    layers: tuple[Layer, ...]
    default: bool


def cases(layers: list[Layer], forms: list[str]) -> Iterator[Case]:
    """What is measured of these forms; a form that no layer can take has no case."""
    defaults = {precision: default_table(layers, precision) for precision in PRECISIONS}
    for form in forms:
        used = [p for p in PRECISIONS if form in defaults[p].values()]
        for precision in used or PRECISIONS:
            takers = [layer for layer in layers if form in forms_of(layer)]
            chosen = [layer for layer in takers if not used or defaults[precision].get(layer.name) == form]
            if chosen:
                yield Case(form, precision, tuple(chosen), bool(used))


class Plain:
    """The graph as torch exports it, in both precisions, and the window that all forms get."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        """Take a graph of `to_onnx`."""
        self.graph = graph
        shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
        rng = np.random.default_rng(0)
        self.window: Float = rng.random(shape, dtype=np.float32)
        self.calibration = [rng.random(shape, dtype=np.float32) for _ in range(2)]
        self._opened: dict[str, Infer] = {}

    def infer(self, precision: str) -> Infer:
        """The plain graph in a precision, in a session that stays open."""
        if precision not in self._opened:
            self._opened[precision] = self.opened(self.graph, precision)
        return self._opened[precision]

    def opened(self, graph: onnx.ModelProto, precision: str) -> Infer:
        """A graph, made int8 where that is wanted, in a session as `seg-run` opens it."""
        if precision == "int8":
            graph = quantised(graph, Spread.of(graph, self.calibration).ranges(), (), saturates())
        session = open_graph(graph.SerializeToString())
        return lambda window: session.run(["logits"], {"image": window})[0]  # type: ignore[no-any-return]


def measure(case: Case, plain: Plain, runs: int) -> dict[str, Any]:
    """Milliseconds of a window with this rewrite and without, and the largest difference as a share of the logits' range."""
    say(f"{case.form} in {case.precision}: {len(case.layers)} layers")
    ours = plain.opened(rewritten(plain.graph, {layer.name: case.form for layer in case.layers}), case.precision)
    theirs, window = plain.infer(case.precision), plain.window
    pair = pairs(lambda: milliseconds(lambda: ours(window)), lambda: milliseconds(lambda: theirs(window)), runs)
    reference = theirs(window)
    return {
        "form": case.form, "kind": REWRITES[case.form], "precision": case.precision, "default": case.default,
        "layers": [layer.name for layer in case.layers], "where": [_told(layer) for layer in case.layers],
        **vars(pair), "ratio": pair.ratio,
        "error_of_range": float(np.abs(ours(window) - reference).max() / np.ptp(reference)),
    }  # fmt: skip


def rows_table(rows: list[dict[str, Any]]) -> str:
    """One row a form and precision."""
    head = [
        "form", "of", "precision", "layers (channels → maps)", "a window / plain", "ratio", "error of the range",
    ]  # fmt: skip
    shown = []
    for row in rows:
        where = ", ".join(row["where"]) if row["default"] else f"all {len(row['where'])} that can; no default"
        ours, theirs = (statistics.median(row[name]) for name in ("ours", "baseline"))
        shown.append([
            row["form"], row["kind"], row["precision"], where, f"{ours:.0f} / {theirs:.0f} ms", f"{row['ratio']:.3f}",
            f"{row['error_of_range']:.0e}",
        ])  # fmt: skip
    return table(head, shown)


def _told(layer: Layer) -> str:
    if layer.kind == "crop":
        return f"{layer.channels} maps, {layer.size[0]} → {layer.left[0]} px"
    return f"{layer.channels} → {layer.maps} at {layer.size[0]} px"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forms", default=",".join(REWRITES), help=f"of {', '.join(REWRITES)} [default: all]")
    parser.add_argument("--pairs", type=int, help="of a window [default: 7]")
    parser.add_argument("--width", type=int, help="of the network [default: 64]")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="a narrow network: shows that it works")
    options = parser.parse_args()
    forms = options.forms.split(",")
    if odd := [form for form in forms if form not in REWRITES]:
        parser.error(f"{', '.join(odd)} came; wanted of {', '.join(REWRITES)}")
    width, runs = options.width or (8 if options.quick else 64), options.pairs or (2 if options.quick else 7)
    checkpoint = random_checkpoint(width)
    plain = Plain(to_onnx(checkpoint.build(), checkpoint.contract))
    rows: list[dict[str, Any]] = []
    for case in cases(layers_of(plain.graph), forms):
        rows.append(measure(case, plain, runs))
        save_json(options.json, {"machine": machine(), "width": width, "rows": rows})
    print(f"width {width}; {machine()}\n\n{rows_table(rows)}")


if __name__ == "__main__":
    main()
