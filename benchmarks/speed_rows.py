"""What `speed` measures of a form: a window, a large image, a whole process, Dice. Each beside the plain export in ONNX Runtime."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .apart import Apart, Timed
from .measure import Pair, command, pairs, processes
from .pipeline import TEN_LINES
from .speed_forms import PLAIN, Bench, Form, MissingError, parts, picture, save_picture

ROOT = Path(__file__).parents[1]
PAIRS_A_START = 3
PARTS = ("window", "large", "process", "dice")
Row = dict[str, Any]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


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
        path = form.made(bench)
        row["file_mb"] = path.stat().st_size / 1e6
        if effort.wants("window", form) or effort.wants("large", form):
            _beside_the_baseline(form, bench, effort, row)
        if effort.wants("process", form):
            say(f"{form.title}: {effort.runs} pairs of processes")
            row["process"] = whole_process(form, path, bench, effort.runs)
    except MissingError as reason:
        row["missing"] = str(reason)
        say(f"{form.title}: {reason}")
    return row


def _beside_the_baseline(form: Form, bench: Bench, effort: Effort, row: Row) -> None:
    """Measure what needs both forms open; they are closed at the end."""
    if effort.wants("window", form):
        say(f"{form.title}: {effort.runs} pairs of a window")
        row["window"] = one_window(form, bench, effort.runs)
    if effort.wants("large", form):
        say(f"{form.title}: {effort.side}×{effort.side} px")
        with Apart(form, bench) as ours, Apart(PLAIN, bench) as baseline:
            row["large"] = large_image(ours, baseline, effort)


def one_window(form: Form, bench: Bench, runs: int) -> Row:
    """Milliseconds of one window of 572 px, and the largest error of its logits as a share of the baseline's range.

    Where a process's memory happens to lie moves all its windows by a tenth: both forms are opened anew after every
    few pairs.
    """
    pair = Pair([], [])
    row: Row = {}
    for start in range(0, runs, PAIRS_A_START):
        with Apart(form, bench) as ours, Apart(PLAIN, bench) as baseline:
            found = pairs(ours.window_ms, baseline.window_ms, min(PAIRS_A_START, runs - start))
            pair = Pair(pair.ours + found.ours, pair.baseline + found.baseline)
            logits, reference = ours.logits(), baseline.logits()
            if logits is not None:
                row["error_of_range"] = float(np.abs(logits - reference).max() / np.ptp(reference))
    return {**vars(pair), "ratio": pair.ratio, "ms": statistics.median(pair.ours), **row}


def large_image(ours: Timed, baseline: Timed, effort: Effort) -> Row:
    """Seconds of a square image, and labels that differ from the baseline's.

    The baseline does its windows between those of the form, in step, so that a drift of the machine meets both. Its seconds
    are those of its runs alone, without cutting and stitching, scaled up where it did not run them all.
    """
    mine, theirs, flipped = [], [], 0.0
    for _ in range(effort.large_runs):
        baseline.follow(effort.side, effort.large_share)
        labels, seconds = ours.labels(effort.side, baseline.keep_up)
        mine.append(seconds)
        baseline.keep_up(1, 1)  # with a form that tells no progress
        seconds, flipped = baseline.followed(labels)
        theirs.append(seconds)
    pair = Pair(mine, theirs)
    seconds = statistics.median(mine)
    return {
        **vars(pair), "ratio": pair.ratio, "side": effort.side, "seconds": seconds,
        "megapixel_per_s": effort.side**2 / 1e6 / seconds, "flipped_per_million": flipped * 1e6,
    }  # fmt: skip


def whole_process(form: Form, path: Path, bench: Bench, runs: int) -> Row:
    """Seconds and peak MB of a process from start to the mask of one image, against the ten-line script of `pipeline`.

    Ours is `seg-run`; a form of plain ONNX Runtime is that script on its own file; another peer is `one.py`.
    """
    save_picture(picture(bench.contract, 388), bench.folder / "window.png")
    plain = _ten_lines(bench, PLAIN.made(bench))
    if form.ours:
        words = [
            "--model", path, "--provider", form.provider, "--threads", bench.threads, "--overwrite", "--out", "out",
            *form.words,
        ]  # fmt: skip
        ours, place = [command("seg-run"), *words, "window.png"], bench.folder
    elif form.key.startswith("plain"):
        ours, place = _ten_lines(bench, path), bench.folder
    else:
        ours, place = [sys.executable, "-m", "benchmarks.one", form.key, path, bench.threads], ROOT
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
    from seg_runtime.pipeline import fitted
    from seg_toolkit.evaluation import confusion, label_summary

    _, validation = parts(data)
    classes = bench.checkpoint.classes
    counts = []
    say(f"{form.title}: Dice on {len(validation)} images of {data.name}")
    running = form.open(form.made(bench), bench.contract, bench.threads)
    for case in validation:
        example = case.read(classes)
        labels = running.labels(fitted(example.image, bench.contract, case.name), None)
        counts.append(confusion(example.labels, labels, len(classes)))
    return label_summary(counts, [c.info.name for c in classes])
