"""Shared helpers of the benchmarks: paired timing, whole processes with their peak memory, the machine, and tables."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seg_toolkit.checkpoints import Checkpoint


@dataclass(frozen=True)
class Pair:
    """seg-edge and a baseline, measured in turn, so that changes of the machine affect both."""

    ours: list[float]
    baseline: list[float]

    @property
    def ratio(self) -> float:
        """Median of the ratios of consecutive measurements."""
        return statistics.median(a / b for a, b in zip(self.ours, self.baseline, strict=True))


def pairs(ours: Callable[[], float], baseline: Callable[[], float], runs: int) -> Pair:
    """Call both `runs` times in turn after one warm-up; each returns its measurement."""
    ours()
    baseline()
    mine, theirs = [], []
    for _ in range(runs):
        mine.append(ours())
        theirs.append(baseline())
    return Pair(mine, theirs)


def milliseconds(action: Callable[[], object]) -> float:
    """Measure the time of one call."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


LAUNCHER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
errors = child.stderr.read().decode()
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(json.dumps([time.perf_counter() - start, usage.ru_maxrss / 1000, child.returncode, errors]))
"""


def process(words: Sequence[object], cwd: Path) -> tuple[float, float]:
    """Measure seconds and peak memory in MB of a whole process.

    A small launcher starts it, because Linux counts the memory of the forking parent for the child.
    """
    launcher = [sys.executable, "-S", "-c", LAUNCHER, *(str(w) for w in words)]
    done = subprocess.run(launcher, cwd=cwd, check=True, capture_output=True, text=True)
    seconds, peak_mb, code, errors = json.loads(done.stdout)
    if code:
        raise SystemExit(f"{words[0]} failed: {errors}")
    return seconds, peak_mb


def processes(ours: Sequence[object], baseline: Sequence[object], cwd: Path, runs: int) -> tuple[Pair, Pair]:
    """Measure seconds and peak MB of two whole processes in turn."""
    memory: list[list[float]] = [[], []]

    def run(words: Sequence[object], place: int) -> float:
        seconds, peak_mb = process(words, cwd)
        memory[place].append(peak_mb)
        return seconds

    seconds = pairs(lambda: run(ours, 0), lambda: run(baseline, 1), runs)
    return seconds, Pair(memory[0][1:], memory[1][1:])


def command(name: str) -> Path:
    """Path of a console script of this environment."""
    return Path(sys.executable).with_name(name)


def random_checkpoint(
    width: int = 64, skip: str = "crop", channels: int = 3, classes: int = 2, seed: int = 2
) -> Checkpoint:
    """Make an untrained network, because speed and rounding do not depend on training."""
    import torch  # not at the top, or processes of other forms would load it too
    from seg_runtime.model import ClassInfo, Contract, Geometry, Input, Intensity, LabelSpec
    from seg_toolkit.checkpoints import Checkpoint
    from seg_toolkit.networks.unet import UNet

    torch.manual_seed(seed)
    model = UNet(channels, classes, width=width, skip=skip)
    infos = tuple(ClassInfo(f"class{i}", (i * 90, 200 - i * 90, 60)) for i in range(classes))
    contract = Contract(Input(channels, Intensity("scale")), Geometry((572, 572), (388, 388)), LabelSpec(infos))
    return Checkpoint(model.described, model.state_dict(), contract)


def random_model(folder: Path, **network: int) -> Path:
    """Export a random network to a file in `folder`."""
    from seg_export.pipeline import export, write

    path = folder / "model.onnx"
    write(export(random_checkpoint(**network)), path)  # type: ignore[arg-type]
    return path


def machine() -> str:
    """Describe the machine in one line."""
    import numpy
    import onnxruntime

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":", 1)[1].strip() if lines else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = f"onnxruntime {onnxruntime.__version__}, numpy {numpy.__version__}, Python {platform.python_version()}"
    return f"{name}, {cores} cores, {versions}"


def versions(*packages: str) -> dict[str, str]:
    """Versions of the packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def save_json(path: str | None, content: object) -> None:
    """Write the figures to a file, if a path is given."""
    if path:
        Path(path).write_text(json.dumps(content, indent=2) + "\n")
