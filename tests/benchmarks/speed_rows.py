"""What `speed` measures of a form: a window, a large image, a whole process, Dice. Each beside the plain export in ONNX Runtime."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .measure import Pair, command, milliseconds, pairs, processes
from .peers import PEERS
from .pipeline import TEN_LINES
from .speed_forms import OURS, PLAIN, Bench, Form, MissingError, Running, parts, save_picture

ROOT = Path(__file__).parents[2]
FORMS = {form.key: form for form in (*OURS, PLAIN, *PEERS)}
PARTS = ("window", "large", "process", "dice")
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


def measure(form: Form, bench: Bench, wanted: Sequence[str], runs: int, side: int, large_runs: int) -> Row:
    """A form's row: `missing` and why, or the file's size and the parts that are wanted.

    Args:
        form: to measure.
        bench: of the network.
        wanted: of PARTS; `dice` is measured elsewhere, see `dice`.
        runs: pairs of the window and of the process.
        side: of the large image, in px.
        large_runs: pairs of it.
    """
    row: Row = {"title": form.title}
    say(f"{form.title}: making and opening")
    try:
        path = _in_this_process(form, bench, wanted, runs, side, large_runs, row)
        if "process" in wanted and not form.only_large:
            say(f"{form.title}: {runs} pairs of processes")
            row["process"] = whole_process(form, path, bench, runs)
    except MissingError as reason:
        row["missing"] = str(reason)
        say(f"{form.title}: {reason}")
    return row


def _in_this_process(
    form: Form, bench: Bench, wanted: Sequence[str], runs: int, side: int, large_runs: int, row: Row
) -> Path:
    """Measure what needs no process of its own; both forms are freed at the end."""
    path, running = start(form, bench)
    _, baseline = start(PLAIN, bench)
    row["file_mb"] = path.stat().st_size / 1e6
    if "window" in wanted and not form.only_large:
        say(f"{form.title}: {runs} pairs of a window")
        row["window"] = one_window(running, baseline, bench, runs)
    if "large" in wanted:
        say(f"{form.title}: {side}×{side} px")
        row["large"] = large_image(running, None if form is PLAIN else baseline, bench, side, large_runs)
    return path


def one_window(running: Running, baseline: Running, bench: Bench, runs: int) -> Row:
    """Milliseconds of one window of 572 px, and the largest error of its logits as a share of the baseline's range.

    A host-ready file takes the image of 388 px that is one window, and has no error of logits.
    """
    window, image = bench.window(), bench.picture(bench.contract.output_shape[0])
    infer, plain = running.infer, baseline.infer
    assert plain is not None
    action: Callable[[], object] = (lambda: running.labels(image)) if infer is None else (lambda: infer(window))
    pair = pairs(lambda: milliseconds(action), lambda: milliseconds(lambda: plain(window)), runs)
    row: Row = {**vars(pair), "ratio": pair.ratio, "ms": statistics.median(pair.ours)}
    if infer is not None:
        reference = plain(window)
        row["error_of_range"] = float(np.abs(infer(window) - reference).max() / np.ptp(reference))
    return row


def large_image(running: Running, baseline: Running | None, bench: Bench, side: int, runs: int) -> Row:
    """Seconds of a square image, without a warm-up: it is long enough; and labels that differ from the baseline's."""
    image = bench.picture(side)
    ours, theirs, flipped = [], [], 0.0
    for _ in range(runs):
        start = time.perf_counter()
        labels = running.labels(image)
        ours.append(time.perf_counter() - start)
        if baseline:
            start = time.perf_counter()
            expected = baseline.labels(image)
            theirs.append(time.perf_counter() - start)
            flipped = float((labels != expected).mean() * 1e6)
    pair = Pair(ours, theirs or ours)
    seconds = statistics.median(ours)
    return {
        **vars(pair), "ratio": pair.ratio, "side": side, "seconds": seconds, "megapixel_per_s": side * side / 1e6 / seconds,
        "flipped_per_million": flipped,
    }  # fmt: skip


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
        labels = running.labels(fitted(example.image, bench.contract, case.name))
        counts.append(confusion(example.labels, labels, len(classes)))
    return summary(counts, [c.info.name for c in classes])
