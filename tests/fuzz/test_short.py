"""A few hundred damaged inputs of each target, the same in every run. `make fuzz` runs for longer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

from .parent import fuzz, report
from .target import names

INPUTS, SECONDS = 150, 20.0
pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured with /proc")


@pytest.mark.parametrize("name", names())
def test_damaged_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    outcome = fuzz(name, tmp_path, 1, INPUTS, SECONDS)
    assert not outcome.failures, report(name, outcome)
    assert outcome.done > INPUTS // 10


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "KeyError"), ("prints", "it printed 39 bytes"), ("fills", " MiB"),
        ("hides", "its error hides a MemoryError"), ("rambles", "its error has 5000 letters"),
        ("crashes", "Segmentation fault"), ("hangs", "Timeout"),
    ],
)  # fmt: skip
def test_what_is_a_failure(name: str, says: str, tmp_path: Path) -> None:
    outcome = fuzz(name, tmp_path, 1, 5, SECONDS, hang_s=1.0)
    [(path, problem)] = outcome.failures.items()
    assert says in problem
    assert path.read_bytes() != b""
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_failure_is_replayed(tmp_path: Path) -> None:
    outcome = fuzz("raises", tmp_path, 1, 5, SECONDS)
    [path] = outcome.failures
    assert f"-m tests.fuzz replay raises {path}" in report("raises", outcome)
    words = [sys.executable, "-m", "tests.fuzz", "replay", "raises", str(path)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == "KeyError: 'sha256'"
