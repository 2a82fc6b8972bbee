"""The step that converts an fp32 graph to int8 or fp16, and measures the effect on labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx
from seg_runtime import Float, Infer

from ...proof import image_windows, some
from ..step import State, Step
from . import fp16, int8
from .calibrate import Spread, infer_of
from .choose import TAILS, choose
from .cost import GOAL
from .gate import IMAGES, Known, judge, with_reference
from .tolerance import check_kernels, tolerance

CALIBRATION_IMAGES = 16  # images of a folder, evenly spaced, with two windows each
KERNEL_IMAGES = 2  # images for comparing kernels with exact arithmetic


@dataclass(frozen=True)
class _Made:
    """A network in another precision.

    Attributes:
        graph: graph of the network.
        facts: settings for the contract.
        infer: simulation of its arithmetic on a CPU; None if the file itself computes it.
        reference: model for its golden samples; None for PyTorch.
    """

    graph: onnx.ModelProto
    facts: dict[str, Any]
    infer: Infer | None = None
    reference: Infer | None = None


class InPrecision(Step):
    """Compute in int8 or fp16, fitted to the images of `--calibration` and judged on `--images`, or else on the same."""

    def apply(self, state: State) -> None:
        """Change the graph, and compare its labels with those of fp32.

        Raises:
            ParityError: if the labels differ too much, are blank or from NaN, or the kernels of this processor saturate.
            DataError, ImageError: if images do not fit the model.
        """
        request, contract, fp32 = state.request, state.contract, state.session
        name, images = request.options.precision, request.calibration
        chosen = some(images, CALIBRATION_IMAGES)
        found = Spread.of(state.graph, _counted(image_windows(chosen, contract), 2 * len(chosen), state))
        known = with_reference(some(images, IMAGES), contract, fp32.run)
        made = _int8(state, found, known) if name == "int8" else _fp16(state, found)
        state.change(made.graph, replace(contract, file=replace(contract.file, precision=name)))
        infer = made.infer or state.session.run
        judges = some(request.images or images, IMAGES)
        cost = judge(
            with_reference(judges, contract, fp32.run), contract, infer,
            lambda done: state.progress(f"comparing {name} labels", done, len(judges)),
        )  # fmt: skip
        state.note(parity={name: {**cost.as_dict(), **made.facts, "calibration": {"images": len(chosen)}}})
        table = cost.table(name, [c.name for c in contract.classes], _rows(made.facts))
        request.watching.report(table, state.contract)
        cost.require(name)
        if made.reference:
            few = list(image_windows(chosen[:KERNEL_IMAGES], contract, 1))
            check_kernels(few, fp32.run, made.reference, state.session.run)
            state.reference = made.reference
        state.tolerance = tolerance(made.reference or fp32.run, infer, state.contract)


def _fp16(state: State, found: Spread) -> _Made:
    kept = fp16.in_float(state.graph, found.extremes)
    return _Made(
        fp16.halved(state.graph, kept), {"in_float": list(kept)}, infer=infer_of(fp16.rounded(state.graph, kept))
    )


def _int8(state: State, found: Spread, known: Iterable[Known]) -> _Made:
    """Convert to int8 with settings chosen on the calibration images only, never on the images that judge it."""
    graph, contract, reduce_range = state.graph, state.contract, state.request.options.reduce_range
    reduce_range = int8.saturates() if reduce_range is None else reduce_range
    images, ranges = list(known), {tail: found.ranges(tail) for tail in TAILS}

    def make(tail: float, keep: tuple[str, ...]) -> onnx.ModelProto:
        return int8.quantised(graph, ranges[tail], keep, reduce_range)

    def lost_by(form: onnx.ModelProto) -> float:
        return judge(images, contract, infer_of(form)).off

    def watch(done: int, total: int) -> None:
        state.progress("measuring ranges" if total == len(TAILS) else "measuring layers", done, total)

    tail, kept = choose(int8.layers(graph), make, lost_by, GOAL, watch)
    made = make(tail, kept)
    return _Made(
        made, {"in_float": list(kept), "reduce_range": reduce_range, "tail": tail}, reference=infer_of(made, exact=True)
    )


def _counted(windows: Iterable[Float], total: int, state: State) -> Iterator[Float]:
    """Yield windows with progress. Images of one window give only one, so the progress is completed at the end."""
    done = 0
    for done, window in enumerate(windows, 1):
        yield window
        state.progress("calibrating", done, total)
    for missing in range(done + 1, total + 1):
        state.progress("calibrating", missing, total)


def _rows(facts: dict[str, Any]) -> Sequence[tuple[str, str]]:
    """Format the settings for the user."""
    rows = [("layers in float", ", ".join(facts["in_float"]) or "none")]
    if facts.get("tail"):
        rows.append(("clipped", f"{100 * facts['tail']:.3g} % of the values at each end of the range"))
    if "reduce_range" in facts:
        rows.append(("weights", "7 bits (--reduce-range)" if facts["reduce_range"] else "8 bits"))
    return rows
