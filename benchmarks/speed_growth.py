"""How the cost of a form grows with image size, threads and number of images. Called by `speed --growth`."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from .apart import Apart
from .measure import command, pairs, process, table
from .speed_forms import PLAIN, Bench, Form, picture, save_picture
from .speed_rows import say

MEGAPIXELS = (1.0, 4.0, 16.0, 64.0)
FOLDERS = (1, 10, 100)
Figures = list[dict[str, Any]]


def by_size(path: Path, bench: Bench, megapixels: tuple[float, ...]) -> Figures:
    """Measure seconds and peak MB of `seg-run` on square images."""
    rows = []
    for size in megapixels:
        side = round(math.sqrt(size * 1024 * 1024))
        say(f"growth: an image of {side}×{side} px")
        seconds, peak_mb = _seg_run(path, bench, [side])
        rows.append({
            "side": side, "seconds": seconds, "megapixel_per_s": side * side / 1e6 / seconds, "peak_mb": peak_mb,
        })  # fmt: skip
    return rows


def by_folder(path: Path, bench: Bench, counts: tuple[int, ...]) -> Figures:
    """Measure seconds and peak MB of `seg-run` on folders of images of one window each."""
    rows = []
    for count in counts:
        say(f"growth: a folder of {count} images")
        seconds, peak_mb = _seg_run(path, bench, [388] * count)
        rows.append({"images": count, "seconds": seconds, "seconds_per_image": seconds / count, "peak_mb": peak_mb})
    return rows


def by_threads(form: Form, bench: Bench, runs: int) -> Figures:
    """Measure milliseconds of one window with 1 thread and with all, and of the plain export with the same number."""
    rows = []
    for threads in sorted({1, bench.threads}):
        say(f"growth: {threads} threads")
        limited = Bench(bench.checkpoint, bench.folder, bench.calibration, bench.real, threads)
        with Apart(form, limited) as ours, Apart(PLAIN, limited) as plain:
            pair = pairs(ours.window_ms, plain.window_ms, runs)
        rows.append({"threads": threads, "ms": statistics.median(pair.ours), "ratio": pair.ratio, **vars(pair)})
    return rows


def growth(form: Form, bench: Bench, runs: int, quick: bool) -> dict[str, Any]:
    """Measure all three.

    Raises:
        MissingError: if the form is not available here.
    """
    path = form.made(bench)
    return {
        "form": form.key,
        "size": by_size(path, bench, (0.25, 1.0) if quick else MEGAPIXELS),
        "folder": by_folder(path, bench, (1, 3) if quick else FOLDERS),
        "threads": [] if form.only else by_threads(form, bench, runs),
    }


def growth_tables(found: dict[str, Any]) -> str:
    """Format the figures of `growth` in Markdown."""
    size = [
        [f"{r['side']}×{r['side']}", f"{r['seconds']:.1f} s", f"{r['megapixel_per_s']:.3f}", f"{r['peak_mb']:.0f} MB"]
        for r in found["size"]
    ]
    folder = [
        [str(r["images"]), f"{r['seconds']:.1f} s", f"{r['seconds_per_image']:.2f} s", f"{r['peak_mb']:.0f} MB"]
        for r in found["folder"]
    ]
    threads = [
        [str(r["threads"]), f"{r['ms']:.0f} ms", f"{found['threads'][0]['ms'] / r['ms']:.2f}", f"{r['ratio']:.2f}"]
        for r in found["threads"]
    ]
    shown = [
        (["one image, whole process", "time", "MPixel/s", "peak memory"], size),
        (["images of one window, whole process", "time", "time an image", "peak memory"], folder),
        (["threads", "a window", "times as fast as 1", "of plain ONNX Runtime with as many"], threads),
    ]
    return "\n\n".join(table(head, rows) for head, rows in shown if rows)


def _seg_run(path: Path, bench: Bench, sides: list[int]) -> tuple[float, float]:
    """Measure seconds and peak MB of `seg-run` on new square images, one for each side."""
    place = bench.folder / "growing"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for number, side in enumerate(sides):
        save_picture(picture(bench.contract, side), place / f"{number:03}.png")
    words = ["--model", path, "--provider", "cpu", "--threads", bench.threads, "--overwrite", "--out", "grown"]
    return process([command("seg-run"), *words, place], bench.folder)
