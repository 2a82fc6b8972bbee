"""Overhead of the pipeline over ONNX Runtime: `python -m benchmarks.pipeline [--json FILE] [--quick]`."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from seg_runtime import Segmenter
from seg_runtime.engine import available_threads

from .measure import Pair, command, machine, milliseconds, pairs, process, processes, random_model, save_json, table

TEN_LINES = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {threads}
session = onnxruntime.InferenceSession("{model}", options, providers=["CPUExecutionProvider"])
image = np.pad(np.asarray(Image.open("window.png")).reshape(388, 388, -1), ((92, 92), (92, 92), (0, 0)), "reflect")
window = image.astype(np.float32).transpose(2, 0, 1)[None] / 255
logits = session.run(["logits"], {{"image": window}})[0]
Image.fromarray((logits[0].argmax(0) * 255).astype(np.uint8)).save("baseline.png")
"""


def one_window(model: Path, runs: int) -> Pair:
    """Measure milliseconds of `Segmenter` on a 388×388 image, which is one window, and of a bare `run` of that window."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_threads()
    bare = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (388, 388, 3), dtype=np.uint8)
    window = rng.random((1, 3, 572, 572), dtype=np.float32)
    with Segmenter(model, provider="cpu") as segmenter:
        return pairs(
            lambda: milliseconds(lambda: segmenter(image)),
            lambda: milliseconds(lambda: bare.run(["logits"], {"image": window})),
            runs,
        )


def whole_process(folder: Path, runs: int) -> tuple[Pair, Pair]:
    """Measure seconds and peak MB of `seg-run` on one image, and of a ten-line script without checks."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (388, 388, 3), dtype=np.uint8)).save(folder / "window.png")
    script = folder / "ten_lines.py"
    script.write_text(TEN_LINES.format(model="model.onnx", threads=available_threads()))
    ours = [command("seg-run"), "--provider", "cpu", "--overwrite", "--out", "out", "window.png"]
    return processes(ours, [sys.executable, script], folder, runs)


def large_image(folder: Path, side: int) -> dict[str, float]:
    """Measure speed and peak memory of `seg-run` on a square image, and on 1 px as the baseline of the process."""
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)
    Image.fromarray(np.tile(tile, (side // 512, side // 512, 1))).save(folder / "large.png")
    Image.fromarray(tile[:1, :1]).save(folder / "pixel.png")
    words = [command("seg-run"), "--provider", "cpu", "--overwrite", "--out", "out"]
    _, floor = process([*words, "pixel.png"], folder)
    seconds, peak = process([*words, "large.png"], folder)
    return {
        "side": side,
        "seconds": seconds,
        "megapixel_per_s": side * side / 1e6 / seconds,
        "peak_mb": peak,
        "floor_mb": floor,
        "picture_mb": side * side * 3 / 1e6,
        "full_logits_would_be_mb": side * side * 2 * 4 / 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="use a narrow network and a small image, as a test")
    options = parser.parse_args()
    width, runs, side = (8, 3, 1024) if options.quick else (64, 9, 4096)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = random_model(folder, width=width)
        window = one_window(model, runs)
        seconds, memory = whole_process(folder, runs)
        large = large_image(folder, side)
    rows = [
        ["one 572 window, Segmenter / bare run", _ms(window.ours), _ms(window.baseline), f"{window.ratio:.3f}", "1.05"],
        [
            "whole process, seg-run / ten lines, s",
            _s(seconds.ours),
            _s(seconds.baseline),
            f"{seconds.ratio:.3f}",
            "1.15",
        ],
        ["whole process, peak MB", _mb(memory.ours), _mb(memory.baseline), f"{memory.ratio:.3f}", "1.15"],
    ]
    print(f"width {width}; {machine()}\n")
    print(table(["what", "ours", "baseline", "ratio", "goal"], rows))
    print(
        f"\n{side}×{side} RGB: {large['seconds']:.1f} s, {large['megapixel_per_s']:.3f} MPixel/s, peak {large['peak_mb']:.0f} MB"
        f" (one pixel: {large['floor_mb']:.0f} MB, the picture itself {large['picture_mb']:.0f} MB,"
        f" its float logits would be {large['full_logits_would_be_mb']:.0f} MB)"
    )
    figures = {"window": vars(window), "seconds": vars(seconds), "memory": vars(memory), "large": large}
    save_json(options.json, {"machine": machine(), "width": width, **figures})


def _ms(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ms"


def _s(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s"


def _mb(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} MB"


if __name__ == "__main__":
    main()
