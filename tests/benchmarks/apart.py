"""One window of several ONNX files, each in a process of its own: `python -m tests.benchmarks.apart PLAIN.onnx OTHER.onnx… [--rounds 5]`.

Two sessions in one process disturb each other: the idle one's threads spin for a while after its run. A workstation has one, so
this is what it sees. The files are run in turn, round by round; the first is what the others are compared with.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .measure import machine, save_json, table

RUNS = 3  # of a window in each process, after one that warms up; the shortest counts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.onnx")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(*_alone(options.files[0]))
        return
    found: dict[str, list[tuple[float, float]]] = {str(file): [] for file in options.files}
    for _ in range(options.rounds):
        for file, figures in found.items():
            call = [sys.executable, "-m", "tests.benchmarks.apart", "--inside", file]
            out = subprocess.run(call, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
            ms, peak = out.stdout.split()
            figures.append((float(ms), float(peak)))
    first = found[str(options.files[0])]
    lines = []
    for file, figures in found.items():
        ratio = statistics.median(ours / theirs for (ours, _), (theirs, _) in zip(figures, first, strict=True))
        ms, peak = (statistics.median(values) for values in zip(*figures, strict=True))
        size = f"{Path(file).stat().st_size / 1e6:.1f} MB"
        lines.append([Path(file).name, f"{ms:.0f} ms", f"{ratio:.3f}", f"{peak:.0f} MB", size])
    print(f"{machine()}, {options.rounds} rounds\n")
    print(table(["file", "a window", "ratio", "peak memory", "file size"], lines))
    save_json(options.json, {"machine": machine(), "ms_and_peak_mb": found})


def _alone(file: Path) -> tuple[float, float]:
    """Milliseconds of a window, and MB that the process took at most by then."""
    import resource

    import numpy as np
    from seg_runtime.providers import open_session
    from seg_runtime.tuning import Setup, Tuning

    setup = Setup("cpu", tuning=Tuning(process_arena=True))
    session = open_session(file, setup, "", lambda: None).session
    [image] = session.get_inputs()
    window = np.random.default_rng(0).random(image.shape, dtype=np.float32)
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        session.run(None, {image.name: window})
        times.append((time.perf_counter() - start) * 1000)
    return min(times[1:]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
