"""What `speed` measures of a form: a window, a large image, a whole process, Dice. Each beside the plain export in ONNX Runtime."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from seg_runtime.geometry import frame, unframe
from seg_runtime.postprocess import decide, place
from seg_runtime.preprocess import Array, plan, windows

from .measure import Pair, command, milliseconds, pairs, processes
from .peers import PEERS
from .pipeline import TEN_LINES
from .speed_forms import OURS, PLAIN, Bench, Form, Labels, MissingError, Running, parts, save_picture

ROOT = Path(__file__).parents[2]
FORMS = {form.key: form for form in (*OURS, PLAIN, *PEERS)}
PARTS = ("window", "large", "process", "dice")
NOT_RUN = 255  # in labels, whose classes are fewer
Row = dict[str, Any]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def start(form: Form, bench: Bench) -> tuple[Path, Running]:
    """A form's file, made where it is not there, and the form that runs it.

    Raises:
        MissingError: it cannot be had here.
    """
    if form.package and importlib.util.find_spec(form.package) is None:
        raise MissingError(f"{form.package} is not installed")
    path = form.make(bench)
    return path, form.open(path, bench.contract, bench.threads)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        parts: of PARTS; `dice` is measured elsewhere, see `dice`.
        runs: pairs of the window and of the process.
        side: of the large image, in px.
        large_runs: pairs of it.
        large_share: of the baseline's windows of it, that are run.
    """

    parts: Sequence[str]
    runs: int
    side: int
    large_runs: int = 1
    large_share: float = 1.0

    def wants(self, part: str, form: Form) -> bool:
        """Whether this part of a form is measured."""
        return part in self.parts and form.only in ("", part)


def measure(form: Form, bench: Bench, effort: Effort) -> Row:
    """A form's row: `missing` and why, or the file's size and the parts that are wanted."""
    row: Row = {"title": form.title}
    if not any(effort.wants(part, form) for part in ("window", "large", "process")):
        return row
    say(f"{form.title}: making and opening")
    try:
        path = _in_this_process(form, bench, effort, row)
        if effort.wants("process", form):
            say(f"{form.title}: {effort.runs} pairs of processes")
            row["process"] = whole_process(form, path, bench, effort.runs)
    except MissingError as reason:
        row["missing"] = str(reason)
        say(f"{form.title}: {reason}")
    return row


def _in_this_process(form: Form, bench: Bench, effort: Effort, row: Row) -> Path:
    """Measure what needs no process of its own; both forms are freed at the end."""
    path, running = start(form, bench)
    _, baseline = start(PLAIN, bench)
    row["file_mb"] = path.stat().st_size / 1e6
    if effort.wants("window", form):
        say(f"{form.title}: {effort.runs} pairs of a window")
        row["window"] = one_window(running, baseline, bench, effort.runs)
    if effort.wants("large", form):
        say(f"{form.title}: {effort.side}×{effort.side} px")
        row["large"] = large_image(running, baseline, bench, effort)
    return path


def one_window(running: Running, baseline: Running, bench: Bench, runs: int) -> Row:
    """Milliseconds of one window of 572 px, and the largest error of its logits as a share of the baseline's range.

    A host-ready file takes the image of 388 px that is one window, and has no error of logits.
    """
    window, image = bench.window(), bench.picture(bench.contract.output_shape[0])
    infer, plain = running.infer, baseline.infer
    assert plain is not None
    action: Callable[[], object] = (lambda: running.labels(image, None)) if infer is None else (lambda: infer(window))
    pair = pairs(lambda: milliseconds(action), lambda: milliseconds(lambda: plain(window)), runs)
    row: Row = {**vars(pair), "ratio": pair.ratio, "ms": statistics.median(pair.ours)}
    if infer is not None:
        reference = plain(window)
        row["error_of_range"] = float(np.abs(infer(window) - reference).max() / np.ptp(reference))
    return row


def large_image(running: Running, baseline: Running, bench: Bench, effort: Effort) -> Row:
    """Seconds of a square image, and labels that differ from the baseline's.

    The baseline does its windows between those of the form, in step, so that a drift of the machine meets both. Its seconds
    are those of its runs alone, without cutting and stitching, scaled up where it did not run them all.
    """
    image = bench.picture(effort.side)
    ours, theirs, flipped = [], [], 0.0
    for _ in range(effort.large_runs):
        other = Stepped(baseline, bench, image, effort.large_share)
        start = time.perf_counter()
        labels = running.labels(image, other.keep_up)
        ours.append(time.perf_counter() - start - other.away)
        other.keep_up(1, 1)  # with a form that tells no progress
        theirs.append(other.seconds)
        flipped = other.flipped(labels)
    pair = Pair(ours, theirs)
    seconds = statistics.median(ours)
    return {
        **vars(pair), "ratio": pair.ratio, "side": effort.side, "seconds": seconds,
        "megapixel_per_s": effort.side**2 / 1e6 / seconds, "flipped_per_million": flipped * 1e6,
    }  # fmt: skip


class Stepped:
    """The baseline on an image, some windows at a time.

    Attributes:
        away: seconds spent here.
    """

    def __init__(self, running: Running, bench: Bench, image: Array, share: float) -> None:
        """Choose the windows that are run: this share of all, evenly spaced."""
        assert running.infer is not None
        self.infer, self.contract, self.away = running.infer, bench.contract, 0.0
        framed = frame(image, self.contract)
        self.grid = plan(framed.shape[:-1], self.contract)
        self.origins = self.grid.origins()
        pace = 1 / max(share, 1 / len(self.origins))
        self.chosen = sorted({int(i * pace) for i in range(round(len(self.origins) / pace))})
        self.windows = enumerate(windows(framed, self.grid, self.contract.intensity))
        self.labels = np.full(self.grid.shape, NOT_RUN, np.uint8)
        self.ms: list[float] = []

    @property
    def seconds(self) -> float:
        """Of all windows."""
        return sum(self.ms) / 1000 * len(self.origins) / len(self.chosen)

    def keep_up(self, done: int, total: int) -> None:
        """Run windows until the same share of them is done as of the form's."""
        start = time.perf_counter()
        while len(self.ms) < len(self.chosen) * done // total:
            wanted = self.chosen[len(self.ms)]
            window = next(window for number, window in self.windows if number == wanted)
            before = time.perf_counter()
            logits = self.infer(window)[0]
            self.ms.append((time.perf_counter() - before) * 1000)
            place(decide(logits, self.contract), self.grid, self.origins[wanted], self.labels)
        self.away += time.perf_counter() - start

    def flipped(self, labels: Labels) -> float:
        """Share of labels `(H, W)` that differ, where the baseline ran."""
        own = unframe(self.labels, labels.shape)
        ran = own != NOT_RUN
        return float((own[ran] != labels[ran]).mean())


def whole_process(form: Form, path: Path, bench: Bench, runs: int) -> Row:
    """Seconds and peak MB of a process from start to the mask of one image, against the ten-line script of `pipeline`.

    Ours is `seg-run`; a form of plain ONNX Runtime is that script on its own file; another peer is `one.py`.
    """
    save_picture(bench.picture(388), bench.folder / "window.png")
    plain = _ten_lines(bench, bench.folder / "plain.onnx")
    if form.ours:
        words = [
            "--model",
            path,
            "--provider",
            form.provider,
            "--threads",
            bench.threads,
            "--overwrite",
            "--out",
            "out",
            *form.words,
        ]
        ours, place = [command("seg-run"), *words, "window.png"], bench.folder
    elif form.key.startswith("plain"):
        ours, place = _ten_lines(bench, path), bench.folder
    else:
        ours, place = [sys.executable, "-m", "tests.benchmarks.one", form.key, path, bench.threads], ROOT
    seconds, memory = processes(ours, plain, place, runs)
    return {
        "seconds": vars(seconds), "memory_mb": vars(memory), "ratio": seconds.ratio,
        "cold_s": statistics.median(seconds.ours), "peak_mb": statistics.median(memory.ours),
    }  # fmt: skip


def _ten_lines(bench: Bench, model: Path) -> list[object]:
    script = bench.folder / f"{model.stem}.py"
    text = TEN_LINES.format(model=model, threads=bench.threads)
    script.write_text(f"import os\nos.chdir({str(bench.folder)!r})\n{text}")
    return [sys.executable, script]


def dice(form: Form, bench: Bench, data: Path) -> Row:
    """Dice in the mean over classes, on the validation images of a training folder.

    Raises:
        MissingError: the form cannot be had here.
    """
    from seg_runtime.image import fitted
    from seg_toolkit.folder import stored_classes
    from seg_toolkit.metrics import confusion, summary

    _, validation = parts(data)
    classes = stored_classes(bench.checkpoint.classes)
    counts = []
    say(f"{form.title}: Dice on {len(validation)} images of {data.name}")
    _, running = start(form, bench)
    for case in validation:
        example = case.read(classes)
        labels = running.labels(fitted(example.image, bench.contract, case.name), None)
        counts.append(confusion(example.labels, labels, len(classes)))
    return summary(counts, [c.info.name for c in classes])
