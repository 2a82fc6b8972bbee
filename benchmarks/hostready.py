"""The host-ready form and the Python pipeline: `python -m benchmarks.hostready [--images DIR] [--geometry fit] [--json FILE]`.

Measures speed in pairs on images of several sizes, file sizes, and the pixels that differ on real images of a folder. With
`--large`, also speed and peak memory of `seg-run` on an image of 24 MPixel.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pictures import pictures
from seg_export.pipeline import Exported, export
from seg_runtime import Segmenter
from seg_runtime.model import GEOMETRIES
from seg_runtime.support import ImageError

from .measure import (
    Pair,
    command,
    machine,
    milliseconds,
    pairs,
    process,
    processes,
    random_checkpoint,
    save_json,
    table,
)


def speed(window: Segmenter, host: Segmenter, sizes: list[tuple[int, int]], runs: int) -> list[dict[str, object]]:
    """Measure milliseconds of both forms per size, and count the pixels that differ."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for height, width in sizes:
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pair = pairs(
            lambda image=image: milliseconds(lambda: host(image)),  # type: ignore[misc]
            lambda image=image: milliseconds(lambda: window(image)),  # type: ignore[misc]
            runs,
        )
        differing = int((host(image).labels != window(image).labels).sum())
        rows.append({
            "size": f"{width}×{height}", "host_ms": pair.ours, "python_ms": pair.baseline, "ratio": pair.ratio,
            "differing": differing,
        })  # fmt: skip
    return rows


def real(window: Segmenter, host: Segmenter, folder: Path) -> dict[str, int]:
    """Count all pixels and those that differ over all images of a folder."""
    found = {"images": 0, "pixels": 0, "differing": 0, "foreground": 0}
    for picture in pictures(folder, window.contract):
        try:
            image = picture.whole(window.contract)
            labels = window(image).labels
        except ImageError:  # of a kind that the model does not take
            continue
        found["images"] += 1
        found["pixels"] += labels.size
        found["foreground"] += int((labels > 0).sum())
        found["differing"] += int((host(image).labels != labels).sum())
    return found


def large(paths: dict[str, Path], folder: Path, runs: int = 2) -> dict[str, Pair]:
    """Measure seconds and peak MB of `seg-run` with both forms on a picture of 6000×4000 px."""
    image = np.random.default_rng(0).integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / "large.png", compress_level=1)
    words = [command("seg-run"), "--provider", "cpu", "--overwrite", "--out", folder / "out", folder / "large.png"]
    host, window = ([*words, "--model", paths[form]] for form in ("host", "window"))
    seconds, peak_mb = processes(host, window, folder, runs)
    masks = [np.asarray(Image.open(folder / "out" / "large_mask.png"))]
    process(host, folder)
    masks.append(np.asarray(Image.open(folder / "out" / "large_mask.png")))
    print(f"6000×4000 px: {int((masks[0] != masks[1]).sum())} px differ")
    return {"seconds": seconds, "peak_mb": peak_mb}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of real images")
    parser.add_argument("--geometry", choices=GEOMETRIES, default="tile")
    parser.add_argument("--json")
    parser.add_argument("--large", action="store_true", help="also measure a picture of 24 MPixel")
    parser.add_argument("--quick", action="store_true", help="use a narrow network, as a test")
    options = parser.parse_args()
    width, runs = (8, 3) if options.quick else (64, 7)
    checkpoint = random_checkpoint(width)
    contract = checkpoint.contract
    contract = replace(contract, geometry=replace(contract.geometry, method=options.geometry))
    checkpoint = replace(checkpoint, contract=contract)
    sizes = [(388, 388), (700, 900)] if options.geometry == "tile" else [(600, 800), (2000, 3000)]
    forms = {"window": ExportOptions(), "host": ExportOptions(host_ready=True)}
    made = {name: export(checkpoint, form) for name, form in forms.items()}
    with tempfile.TemporaryDirectory() as name:
        paths = {form: _write(exported, Path(name) / f"{form}.onnx") for form, exported in made.items()}
        with Segmenter(paths["window"], provider="cpu") as window, Segmenter(paths["host"], provider="cpu") as host:
            rows = speed(window, host, sizes, runs)
            seen = real(window, host, options.images) if options.images else {}
        big = large(paths, Path(name)) if options.large else {}
    print(f"width {width}; {machine()}\n")
    shown = [[str(r["size"]), f"{r['ratio']:.3f}", "1.05", str(r["differing"])] for r in rows]
    print(table(["image", "host-ready / Python pipeline", "goal", "differing px"], shown))
    megabytes = {form: len(exported.content) / 1e6 for form, exported in made.items()}
    print(f"\nfile: window {megabytes['window']:.2f} MB, host-ready {megabytes['host']:.2f} MB")
    if seen:
        print("{images} real images, {pixels} px, {foreground} of them foreground: {differing} differ".format(**seen))
    for what, pair in big.items():
        print(
            f"seg-run on 6000×4000 px, {what}: host-ready {pair.ours}, window {pair.baseline}, ratio {pair.ratio:.3f}"
        )
    save_json(options.json, {"machine": machine(), "speed": rows, "megabytes": megabytes, "real": seen})


def _write(exported: Exported, path: Path) -> Path:
    path.write_bytes(exported.content)
    return path


if __name__ == "__main__":
    main()
