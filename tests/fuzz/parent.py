"""Start targets in processes of their own, gather their failures, and replay one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.places import ROOT

from .target import MODULES

STUCK_S = 300  # beyond the time of a run; the child ends itself earlier


@dataclass
class Outcome:
    """What a run of a target found.

    Attributes:
        done: number of inputs.
        failures: path of an input -> what is wrong.
    """

    done: int = 0
    failures: dict[Path, str] = field(default_factory=dict)


def fuzz(name: str, folder: Path, seed: int, inputs: int, seconds: float, hang_s: float = 60.0) -> Outcome:
    """Run a target for a number of inputs or a time, whichever ends first.

    Args:
        name: the target.
        folder: where inputs that fail are kept.
        seed: of the damage.
        inputs: number of inputs.
        seconds: time of the run.
        hang_s: time after which one input counts as a hang.
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [str(number) for number in (seed, inputs, seconds, hang_s)]
    words = [sys.executable, "-m", "tests.fuzz.child", name, str(folder), *numbers]
    ended = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        timeout=seconds + STUCK_S,
    )  # fmt: skip
    outcome = Outcome()
    for line in ended.stdout.splitlines():
        found = json.loads(line)
        if "file" in found:
            outcome.failures[Path(found["file"])] = found["problem"]
        outcome.done = found.get("done", outcome.done)
    current, printed = folder / f"{name}.current", folder / f"{name}.printed"
    if ended.returncode:
        text = printed.read_text("utf-8", "replace") if printed.exists() else ""
        kept = folder / f"{name}-crash-{seed}"
        if current.exists():
            kept.write_bytes(current.read_bytes())
        outcome.failures[kept] = f"the process ended with {ended.returncode}\n{ended.stderr[-3000:]}{text[-3000:]}"
    for path in (current, printed):
        path.unlink(missing_ok=True)
    return outcome


def report(name: str, outcome: Outcome) -> str:
    """The failures in words, each with the command that repeats it."""
    lines = [f"{name}: {outcome.done} inputs, {len(outcome.failures)} kinds of failure"]
    for path, problem in outcome.failures.items():
        lines += ["", problem.rstrip(), f"replay: {Path(sys.executable)} -m tests.fuzz replay {name} {path}"]
    return "\n".join(lines)


def chosen(words: list[str]) -> list[str]:
    """Names of targets, or of modules with all of theirs; all targets without a word."""
    listed = [name for word in words or MODULES for name in MODULES.get(word, (word,))]
    known = {name for names in MODULES.values() for name in names}
    if odd := [name for name in listed if name not in known]:
        raise SystemExit(f"there is no target {odd[0]}; the targets are {', '.join(sorted(known))}")
    return listed
