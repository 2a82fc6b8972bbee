"""The benchmarks run and fill their tables; what they measure is for people, no time is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.benchmarks.accuracy import otsu

ROOT = Path(__file__).parents[2]


def benchmark(name: str, *options: object) -> str:
    words = [sys.executable, "-m", f"tests.benchmarks.{name}", *map(str, options)]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_pipeline(tmp_path):
    shown = benchmark("pipeline", "--quick", "--json", tmp_path / "figures.json")
    assert shown.count("| ") > 3
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert all(v > 0 for v in (*figures["window"]["ours"], *figures["memory"]["baseline"], figures["large"]["peak_mb"]))


def test_parity(tmp_path):
    benchmark("parity", "--widths", 8, "--json", tmp_path / "figures.json")
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [r["skip"] for r in rows] == ["crop", "resize"]
    assert all(r["holds"] for r in rows)


def test_hostready(tmp_path):
    benchmark("hostready", "--quick", "--json", tmp_path / "figures.json")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [r["differing"] for r in figures["speed"]] == [0, 0]
    assert 1 < figures["megabytes"]["host"] < 1.02 * figures["megabytes"]["window"]  # the weights are there once


def test_otsu_cuts_between_two_heaps():
    values = np.array([10] * 50 + [12] * 50 + [200] * 30, np.uint8)
    assert 12 <= otsu(values) < 200
