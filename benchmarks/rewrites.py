"""Effect of each rewrite alone: `python -m benchmarks.rewrites [--forms a,b] [--pairs 7] [--json FILE] [--quick]`.

A window with layers in one form is compared with a window of the plain graph, in turn, in one run. A form is measured in
the precision whose default table uses it, on the layers to which the table assigns it. A form that no table uses is
measured in both precisions, on all layers that can take it. Weights of int8 are random and its ranges come from random
windows, which is sufficient for speed.
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
    """A form to measure: its layers, the precision, and whether the default table uses it there."""

    form: str
    precision: str
    layers: tuple[Layer, ...]
    default: bool


def cases(layers: list[Layer], forms: list[str]) -> Iterator[Case]:
    """Yield the cases to measure; a form that no layer can take has none."""
    defaults = {precision: default_table(layers, precision) for precision in PRECISIONS}
    for form in forms:
        used = [p for p in PRECISIONS if form in defaults[p].values()]
        for precision in used or PRECISIONS:
            takers = [layer for layer in layers if form in forms_of(layer)]
            chosen = [layer for layer in takers if not used or defaults[precision].get(layer.name) == form]
            if chosen:
                yield Case(form, precision, tuple(chosen), bool(used))


class Plain:
    """The graph that PyTorch exports, in both precisions, and the window for all forms."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        """Set up with a graph from `to_onnx`."""
        self.graph = graph
        shape = [d.dim_value for d in graph.graph.input[0].type.tensor_type.shape.dim]
        rng = np.random.default_rng(0)
        self.window: Float = rng.random(shape, dtype=np.float32)
        self.calibration = [rng.random(shape, dtype=np.float32) for _ in range(2)]
        self._opened: dict[str, Infer] = {}

    def infer(self, precision: str) -> Infer:
        """Open the plain graph in a precision; the session stays open."""
        if precision not in self._opened:
            self._opened[precision] = self.opened(self.graph, precision)
        return self._opened[precision]

    def opened(self, graph: onnx.ModelProto, precision: str) -> Infer:
        """Open a graph, converted to int8 if needed, as `seg-run` does."""
        if precision == "int8":
            graph = quantised(graph, Spread.of(graph, self.calibration).ranges(), (), saturates())
        session = open_graph(graph.SerializeToString())
        return lambda window: session.run(["logits"], {"image": window})[0]  # type: ignore[no-any-return]


def measure(case: Case, plain: Plain, runs: int) -> dict[str, Any]:
    """Measure milliseconds of a window with and without the rewrite, and the largest difference as a fraction of the range."""
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
    """Format one row per form and precision."""
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
    parser.add_argument("--forms", default=",".join(REWRITES), help=f"forms among {', '.join(REWRITES)} [default: all]")
    parser.add_argument("--pairs", type=int, help="pairs of windows [default: 7]")
    parser.add_argument("--width", type=int, help="width of the network [default: 64]")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="use a narrow network, as a test")
    options = parser.parse_args()
    forms = options.forms.split(",")
    if odd := [form for form in forms if form not in REWRITES]:
        parser.error(f"unknown forms {', '.join(odd)}; expected {', '.join(REWRITES)}")
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
