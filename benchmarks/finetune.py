"""Gain of `--from` with few images: `python -m benchmarks.finetune [--parent PT] [--steps N …] [--folds 3] [--json FILE]`.

The parent learns grey nuclei. Each child learns from 10 images of H&E nuclei, with new weights and from the parent, and is
scored on the other 23. All children have the same windows, batch size and number of steps, so their trainings take equally long.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from seg_toolkit.cli.train import main as seg_train
from seg_toolkit.data.readers import PAIRS, read_data_set
from seg_toolkit.options import EvaluateOptions
from seg_toolkit.training import evaluate

from .accuracy import DATA
from .measure import machine, save_json, table

GREY, STAINED = DATA / "dsb2018_nuclei_grey", DATA / "dsb2018_nuclei_he"
IMAGES = 10  # for training, in each fold
NETWORK = ("--width", "8", "--input-size", "316")
WAYS: dict[str, tuple[str, ...]] = {
    "new weights": NETWORK,
    "--from": ("--from", "{parent}"),
}


def train(data: Path, out: Path, *options: str) -> None:
    """Run seg-train."""
    done = CliRunner().invoke(
        seg_train, [str(data), "-o", str(out), "--workers", "0", *options], catch_exceptions=False
    )
    if done.exit_code:
        raise SystemExit(done.output)


def folds(count: int, root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield a folder of training images, disjoint from that of other folds, and a folder of the other images."""
    names = sorted(case.name for case in read_data_set(PAIRS, STAINED, lambda text: None).cases)
    random.Random(0).shuffle(names)
    for fold in range(count):
        chosen = set(names[IMAGES * fold : IMAGES * (fold + 1)])
        parts = root / f"training-{fold}", root / f"test-{fold}"
        for part, of in zip(parts, (chosen, set(names) - chosen), strict=True):
            for folder in ("images", "masks"):
                (part / folder).mkdir(parents=True)
                for file in (STAINED / folder).iterdir():
                    if file.stem in of:
                        (part / folder / file.name).symlink_to(file)
        yield parts


def score(model: Path, data: Path) -> float:
    """Mean Dice of the nuclei over the images of a folder."""
    _, result = evaluate(model, data, EvaluateOptions(), lambda text: None, lambda label, length: lambda items: items)
    return float(result["classes"][1]["dice"])


def measure(parent: Path, steps: Sequence[int], count: int, root: Path, rates: Sequence[str]) -> list[dict[str, Any]]:
    """Train and score all children."""
    results = []
    for fold, (training, test) in enumerate(folds(count, root)):
        for length in steps:
            for way, options in WAYS.items():
                for rate in rates if "--from" in way and rates else [""]:
                    out, words = root / "child.pt", [word.format(parent=parent) for word in options]
                    words += ["--lr", rate] if rate else []
                    train(training, out, *words, "--steps", str(length), "--overwrite")
                    found = {"fold": fold, "steps": length, "way": f"{way} {rate}".strip(), "dice": score(out, test)}
                    print(found, flush=True)
                    results.append(found)
    return results


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=Path, help="model of grey nuclei; trained if it is not given")
    parser.add_argument("--parent-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, nargs="+", default=[25, 100, 300])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--lr", nargs="*", default=[], help="other learning rates of --from")
    parser.add_argument("--json")
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"error: {DATA} contains no real images")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        parent = options.parent or root / "parent.pt"
        if not options.parent:
            train(GREY, parent, *NETWORK, "--steps", str(options.parent_steps))
        results = measure(parent, options.steps, options.folds, root, options.lr)
    rows = []
    for way in dict.fromkeys(result["way"] for result in results):
        cells = []
        for steps in options.steps:
            dice = [r["dice"] for r in results if r["way"] == way and r["steps"] == steps]
            cells.append(f"{statistics.mean(dice):.3f} ({min(dice):.3f} to {max(dice):.3f})")
        rows.append([way, *cells])
    print(f"\nDice of nuclei on {33 - IMAGES} images, mean and range of {options.folds} folds; {machine()}\n")
    print(table(["start", *(f"{steps} steps" for steps in options.steps)], rows))
    save_json(options.json, {"machine": machine(), "results": results})


if __name__ == "__main__":
    main()
