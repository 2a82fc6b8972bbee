"""fp32 graph -> graph in another precision, what it costs, and by which answers a device is tested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import PRECISIONS, Contract
from seg_runtime.model.golden import FP32_LIMIT
from seg_runtime.pipeline import Float
from seg_runtime.pipeline.windows import Infer, window_logits
from seg_runtime.support.errors import ParityError, SegError
from seg_toolkit.checkpoints.checkpoint import Checkpoint
from seg_toolkit.data.folder import stored_classes

from ...graph.stamp import stamped
from ...proof.golden import CANDIDATES, generated
from ...proof.parity import generated_images
from ...proof.pictures import image_windows, pictures, some
from . import fp16, int8
from .calibrate import Spread, inferring, meaning, spread
from .choose import TAILS, choose
from .gate import IMAGES, Known, answered, counted, judge, require

CALIBRATION_IMAGES = 16  # of a folder, evenly spaced, two windows of each
KERNEL_IMAGES = 2  # on windows of which kernels are compared with their meaning
HEADROOM = {"int8": 2.0, "fp16": 4.0}  # of the self-test's limits over the error here: others round otherwise
LEAST = {"int8": (1e-2, 2e-3), "fp16": (1e-3, 2e-4)}  # of them: two of int8's 255 steps, one step of fp16 near 1
LOOSEST = 0.5  # of those limits: above, the self-test would pass anything
NOISE = 3.0  # int8 kernels may err by so many times what int8 itself costs before they are said to saturate
EXACT = 1e-3  # of the range: a quarter of an 8-bit step, which int8 itself is granted where it happens to cost less

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many are done and how many in all."""


@dataclass(frozen=True)
class Precision:
    """Which precision is asked for, and what it is made from."""

    name: str
    """`int8` or `fp16`."""
    calibration: Path
    """Folder of real images, see `pictures`; the masks of a data set are used."""
    images: Path | None = None
    """Folder that judges it; None for the calibration's."""
    reduce_range: bool | None = None
    """Weights in 7 bits; None decides by this machine's processor."""

    def __post_init__(self) -> None:
        """Refuse unknown names before the long work."""
        if self.name not in PRECISIONS[1:]:
            raise SegError(f"precision {self.name!r}", " or ".join(PRECISIONS[1:]), "choose one of them")


@dataclass(frozen=True)
class Tolerance:
    """What the self-test allows a device, as shares of the logits' range."""

    limit: float = FP32_LIMIT
    rms_limit: float | None = None


@dataclass(frozen=True)
class Form:
    """A network in another precision that passed its gate."""

    graph: onnx.ModelProto
    contract: Contract
    session: Session
    reference: Infer | None
    """What golden samples are answered by: int8 by its own graph, operator by operator; None for torch."""
    tolerance: Tolerance
    """Of the self-test."""


def in_precision(
    graph: onnx.ModelProto, proven: Session, contract: Contract, wanted: Precision, checkpoint: Checkpoint,
    watch: Watch = lambda what, done, total: None, report: Callable[[str, Contract], None] = lambda table, c: None,
) -> Form:  # fmt: skip
    """A network in another precision.

    Args:
        graph: in fp32; input `image`, output `logits`.
        proven: its session, compared with torch already.
        contract: of that.
        wanted: which precision.
        checkpoint: says how masks are read.
        watch: see `Watch`.
        report: called with the figures before they are judged, and the contract that holds them.

    Raises:
        ParityError: it costs too many labels, answers blank or NaN, or this processor's kernels saturate.
        DataError, ImageError: images that do not fit the model.
    """
    classes = stored_classes(checkpoint.classes)
    images = pictures(wanted.calibration, contract, checkpoint.reader)
    judges = pictures(wanted.images, contract, checkpoint.reader) if wanted.images else images
    chosen = some(images, CALIBRATION_IMAGES)
    found = spread(graph, _watched(image_windows(chosen, contract), 2 * len(chosen), watch))
    known = answered(some(images, IMAGES), classes, contract, proven.run)
    made, facts = _made(graph, found, wanted, known, contract, watch)
    kept = facts["in_float"]
    contract = replace(contract, file=replace(contract.file, precision=wanted.name))
    session = Session(stamped(made, contract), provider="cpu")
    form: Infer = inferring(fp16.rounded(graph, kept)) if wanted.name == "fp16" else session.run
    what = f"comparing {wanted.name} labels"
    cost = judge(
        some(judges, IMAGES), classes, contract, proven.run, form, lambda done, total: watch(what, done, total)
    )
    figures = {**cost.as_dict(), **facts, "calibration": {"images": len(chosen)}}
    contract = replace(contract, parity={**contract.parity, wanted.name: figures})
    report(cost.table(wanted.name, [c.name for c in contract.classes]) + _told(facts), contract)
    require(cost, wanted.name)
    if wanted.name == "fp16":
        return Form(made, contract, session, None, tolerance(proven.run, form, contract))
    exact = meaning(made)
    few = list(image_windows(chosen[:KERNEL_IMAGES], contract, 1))
    _check_kernels(few, [proven.run(window)[0] for window in few], exact, session.run)
    return Form(made, contract, session, exact, tolerance(exact, session.run, contract))


def _made(
    graph: onnx.ModelProto, found: Spread, wanted: Precision, known: Iterable[Known], contract: Contract, watch: Watch
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The graph, and what was chosen for it: by the images of the calibration, never by those that judge it."""
    if wanted.name == "fp16":
        kept = fp16.in_float(graph, found.extremes)
        return fp16.halved(graph, kept), {"in_float": list(kept)}
    reduce_range = int8.saturates() if wanted.reduce_range is None else wanted.reduce_range

    images, ranges = list(known), {tail: found.ranges(tail) for tail in TAILS}

    def make(tail: float, keep: tuple[str, ...]) -> onnx.ModelProto:
        return int8.quantised(graph, ranges[tail], keep, reduce_range)

    def measure(form: onnx.ModelProto) -> float:
        *_, cost = counted(images, contract, inferring(form))
        return cost.off

    def told(done: int, total: int) -> None:
        watch("measuring ranges" if total == len(TAILS) else "measuring layers", done, total)

    tail, kept = choose(int8.layers(graph), make, measure, told)
    return make(tail, kept), {"in_float": list(kept), "reduce_range": reduce_range, "tail": tail}


def _watched(windows: Any, total: int, watch: Watch) -> Any:
    """Windows as they come; of an image that is one window there is one only, so the bar may end early."""
    done = 0
    for done, window in enumerate(windows, 1):
        yield window
        watch("calibrating", done, total)
    for missing in range(done + 1, total + 1):
        watch("calibrating", missing, total)


def _check_kernels(windows: Sequence[Float], fp32: Sequence[Float], exact: Infer, kernels: Infer) -> None:
    """Refuse a processor whose kernels do not compute what the file says.

    Raises:
        ParityError: they err by far more than int8 itself does.
    """
    own, wrong = [], []
    for window, logits in zip(windows, fp32, strict=True):
        right = exact(window)[0]
        own.append(_rms(right, logits))
        wrong.append(_rms(kernels(window)[0], right))
    if max(wrong) > NOISE * max(*own, EXACT):
        came = f"int8 kernels of this processor err by {max(wrong):.1e} of the range, int8 itself by {max(own):.1e}"
        raise ParityError(came, "the same order", "pass --reduce-range; nothing was written")


def tolerance(reference: Infer, answer: Infer, contract: Contract) -> Tolerance:
    """What the self-test allows: the error measured on made-up images, times `HEADROOM`, rounded up to one digit.

    Args:
        reference: what golden samples are answered by.
        answer: the session that was proven.
        contract: of both.

    Raises:
        ParityError: so large an error that a self-test would pass anything.
    """
    headroom, largest, rms = HEADROOM[contract.file.precision], 0.0, 0.0
    for values in generated_images(contract, CANDIDATES, seed=1):
        image = generated(values, contract).image()
        [wanted], [came] = (list(window_logits(image, contract, infer)[1]) for infer in (reference, answer))
        largest = max(largest, float(np.abs(came - wanted).max() / np.ptp(wanted)))
        rms = max(rms, _rms(came, wanted))
    if not headroom * largest < LOOSEST:
        problem = f"made-up images differ by {largest:.1e} of the logits' range"
        fix = "nothing was written; a self-test could prove nothing"
        raise ParityError(problem, f"below {LOOSEST / headroom:.1e}", fix)
    least, least_rms = LEAST[contract.file.precision]
    return Tolerance(max(least, _rounded_up(headroom * largest)), max(least_rms, _rounded_up(headroom * rms)))


def _rms(came: Float, wanted: Float) -> float:
    """Root of the mean squared error, as a share of the wanted logits' range."""
    return float(np.sqrt(np.mean((came.astype(np.float64) - wanted) ** 2)) / max(float(np.ptp(wanted)), 1e-30))


def _rounded_up(value: float) -> float:
    """To one significant digit."""
    value = max(value, 1e-9)
    unit = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.0e}")


def _told(facts: dict[str, Any]) -> str:
    kept = ", ".join(facts["in_float"]) or "none"
    bits = {True: "\n  weights in 7 bits (--reduce-range)", False: "\n  weights in 8 bits"}
    tail = f"\n  ranges without {100 * facts['tail']:.3g} % of the values at each end" if facts.get("tail") else ""
    return f"\n  layers in float: {kept}{tail}" + bits.get(facts.get("reduce_range"), "")  # type: ignore[arg-type]
