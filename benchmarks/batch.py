"""Speed of batches: `python -m benchmarks.batch [--width N] [--batches N …] [--provider NAME] [--json FILE] [--quick]`.

The same windows are run in one call of a batch file and one by one with a file for one window, in turn.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import numpy as np
from seg_export.graph import stamped
from seg_export.network import to_onnx
from seg_export.steps.batching import batched
from seg_runtime.engine import PROVIDERS, RunOptions, Session
from seg_runtime.model import WindowFile

from .measure import machine, milliseconds, pairs, random_checkpoint, save_json, table


def measure(width: int, batches: list[int], provider: str, runs: int) -> list[dict[str, float]]:
    """Measure milliseconds per window in each batch and alone, and the differences of the results."""
    checkpoint = random_checkpoint(width=width)
    contract = checkpoint.contract
    graph = to_onnx(checkpoint.build(), contract)
    alone = Session(stamped(graph, contract), RunOptions(provider=provider))
    rows = []
    for batch in batches:
        several = Session(
            stamped(batched(graph, batch), replace(contract, file=WindowFile(batch=batch))),
            RunOptions(provider=provider),
        )
        windows = np.random.default_rng(0).random(
            (batch, contract.input.channels, *contract.geometry.input_shape), np.float32
        )
        one_by_one = np.concatenate([alone.run(window[None]) for window in windows])
        together = several.run(windows)
        pair = pairs(
            lambda: milliseconds(lambda: several.run(windows)),  # noqa: B023 - called in this round
            lambda: milliseconds(lambda: [alone.run(window[None]) for window in windows]),  # noqa: B023
            runs,
        )
        rows.append({
            "batch": batch, "ms": statistics.median(pair.ours) / batch, "ratio": pair.ratio,
            "alone_ms": statistics.median(pair.baseline) / batch,
            "error_of_range": float(np.abs(together - one_by_one).max() / np.ptp(one_by_one)),
            "flipped": int((together.argmax(1) != one_by_one.argmax(1)).sum()),
        })  # fmt: skip
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--provider", choices=list(PROVIDERS.own), default="cpu")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true", help="use a narrow network and few runs, as a test")
    options = parser.parse_args()
    width, runs = (4, 2) if options.quick else (options.width, 7)
    rows = measure(width, options.batches, options.provider, runs)
    print(f"width {width}, {options.provider}; {machine()}\n")
    shown = [
        [str(r["batch"]), f"{r['ms']:.1f}", f"{r['alone_ms']:.1f}", f"{r['ratio']:.3f}", f"{r['error_of_range']:.1e}", str(r["flipped"])]
        for r in rows
    ]  # fmt: skip
    print(table(["windows per call", "ms per window", "alone", "ratio", "error of the range", "px flipped"], shown))
    save_json(options.json, {"machine": machine(), "width": width, "provider": options.provider, "rows": rows})


if __name__ == "__main__":
    main()
