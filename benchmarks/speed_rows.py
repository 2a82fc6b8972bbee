"""Measurements of `speed`: a window, a large image, a whole process, Dice. Each is compared with the plain export."""

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
    """Print progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Effort:
    """Amount of measurements.

    Attributes:
        parts: parts among PARTS; `dice` is measured separately, see `dice`.
        runs: pairs of windows and of processes.
        side: side of the large image in px.
        large_runs: pairs of large images.
        large_share: fraction of the windows of the large image that the baseline runs.
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
    """Measure the row of a form: the size of the file and the requested parts, or `missing` with the reason."""
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
    """Measure the parts that need both forms open; they are closed at the end."""
    if effort.wants("window", form):
        say(f"{form.title}: {effort.runs} pairs of a window")
        row["window"] = one_window(form, bench, effort.runs)
    if effort.wants("large", form):
        say(f"{form.title}: {effort.side}×{effort.side} px")
        with Apart(form, bench) as ours, Apart(PLAIN, bench) as baseline:
            row["large"] = large_image(ours, baseline, effort)


def one_window(form: Form, bench: Bench, runs: int) -> Row:
    """Measure milliseconds of one window of 572 px, and the largest logit error as a fraction of the range of the baseline.

    The memory addresses of a process change the time of all its windows by up to a tenth, so both forms are reopened after
    every few pairs.
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
    """Measure seconds of a square image, and count labels that differ from the baseline.

    Windows of the baseline and of the form are run alternately, so that changes of the machine affect both. The time of the
    baseline is inference only, without tiling and stitching, extrapolated if not all windows were run.
    """
    mine, theirs, flipped = [], [], 0.0
    for _ in range(effort.large_runs):
        baseline.follow(effort.side, effort.large_share)
        labels, seconds = ours.labels(effort.side, baseline.keep_up)
        mine.append(seconds)
        baseline.keep_up(1, 1)  # for a form that reports no progress
        seconds, flipped = baseline.followed(labels)
        theirs.append(seconds)
    pair = Pair(mine, theirs)
    seconds = statistics.median(mine)
    return {
        **vars(pair), "ratio": pair.ratio, "side": effort.side, "seconds": seconds,
        "megapixel_per_s": effort.side**2 / 1e6 / seconds, "flipped_per_million": flipped * 1e6,
    }  # fmt: skip


def whole_process(form: Form, path: Path, bench: Bench, runs: int) -> Row:
    """Measure seconds and peak MB of a process from start to the mask of one image, and of the ten-line script of `pipeline`.

    The process is `seg-run` for seg-edge, that script for plain ONNX Runtime, and `one.py` for other peers.
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
    """Compute the mean Dice over classes on the validation images of a training folder.

    Raises:
        MissingError: if the form is not available here.
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
