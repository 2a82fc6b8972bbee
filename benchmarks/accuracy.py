"""Accuracy of PyTorch and ONNX on real images: `python -m benchmarks.accuracy [SET …] [--steps 700] [--json FILE]`.

Trains with the defaults of `seg-train` at width 16, exports, and scores both forms and a threshold on the validation
images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_runtime.engine import RunOptions, Session
from seg_runtime.segmenter import Infer
from seg_toolkit.checkpoints import load
from seg_toolkit.cli.train import main as seg_train
from seg_toolkit.data import Case
from seg_toolkit.data.readers import PAIRS, read_data_set
from seg_toolkit.networks import torch_infer
from seg_toolkit.training import OBJECTIVES, Objective

from .measure import machine, save_json, table

DATA = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Set:
    """A data set, its options, and a threshold as baseline."""

    folder: str
    options: tuple[str, ...]
    floor: str
    threshold: Callable[[NDArray[Any]], NDArray[np.uint8]]


def otsu(values: NDArray[Any]) -> float:
    """Compute Otsu's threshold (1979) of 8-bit values, which minimises the variance within both sides."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)
    below, levels = counts.cumsum(), np.arange(256)
    above = below[-1] - below
    mean_below = np.divide((counts * levels).cumsum(), below, out=np.zeros(256), where=below > 0)
    total = (counts * levels).sum()
    mean_above = np.divide(total - (counts * levels).cumsum(), above, out=np.zeros(256), where=above > 0)
    return float((below * above * (mean_below - mean_above) ** 2).argmax())


SETS = {
    "em": Set(
        "em_isbi2012",
        ("--classes", "membrane=0,cell=255"),
        "Otsu",
        lambda i: (i[..., 0] > otsu(i[..., 0])).astype(np.uint8),
    ),
    "nuclei": Set("dsb2018_nuclei_grey", (), "Otsu", lambda i: (i[..., 0] > otsu(i[..., 0])).astype(np.uint8)),
    "he": Set("dsb2018_nuclei_he", (), "Otsu on red", lambda i: (i[..., 0] <= otsu(i[..., 0])).astype(np.uint8)),
}


def measure(name: str, steps: int, seed: int, folder: Path) -> dict[str, Any]:
    """Train, export and score one set."""
    chosen = SETS[name]
    data, out = DATA / chosen.folder, folder / f"{name}.pt"
    start = time.perf_counter()
    words = [str(data), "-o", str(out), "--width", "16", "--steps", str(steps), "--seed", str(seed), *chosen.options]
    done = CliRunner().invoke(seg_train, words, catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    minutes = (time.perf_counter() - start) / 60
    checkpoint = load(out)
    _, validation = read_data_set(PAIRS, data, lambda text: None).split(0.2, None, seed)
    exported = export(checkpoint, ExportOptions(images=data))
    contract = checkpoint.contract
    objective = OBJECTIVES.get(contract.answer.kind)(contract, checkpoint.classes)

    def scored(infer: Infer) -> dict[str, Any]:
        return objective.score(validation, infer)[0]

    return {
        "set": name,
        "steps": steps,
        "minutes": minutes,
        "intensity": checkpoint.contract.input.intensity.method,
        "torch": scored(torch_infer(checkpoint.build(), torch.device("cpu"))),
        "onnx": scored(Session(exported.content, RunOptions(provider="cpu")).run),
        "floor": _floor(chosen, validation, objective),
        "floor_method": chosen.floor,
    }


def _floor(chosen: Set, cases: Sequence[Case], objective: Objective) -> dict[str, Any]:
    examples = [(case.name, case.read(objective.classes)) for case in cases]
    return objective.summary([objective.compare(name, e, chosen.threshold(e.image)).figures for name, e in examples])


def main() -> None:
    """Measure the data sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", choices=[*SETS, []], default=list(SETS))
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json")
    options = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"error: {DATA} contains no real images")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sets:
            results.append(measure(name, options.steps, options.seed, Path(folder)))
            print(f"{name}: {results[-1]['minutes']:.1f} minutes", flush=True)
    rows = []
    for r in results:
        for form in ("torch", "onnx", "floor"):
            first, second = r[form]["classes"]
            title = r["floor_method"] if form == "floor" else form
            figures = [second["dice"], second["iou"], first["dice"], r[form]["pixel_error"]]
            minutes = "" if form == "floor" else f"{r['minutes']:.1f}"
            rows.append([r["set"], title, *(f"{f:.4f}" for f in figures), minutes])
    print(f"\nwidth 16, {options.steps} steps, seed {options.seed}; {machine()}\n")
    print(table(["set", "form", "Dice", "IoU", "Dice of the background", "pixel error", "minutes"], rows))
    save_json(options.json, {"machine": machine(), "results": results})


if __name__ == "__main__":
    main()
