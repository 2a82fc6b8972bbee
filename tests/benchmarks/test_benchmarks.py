"""The benchmarks run and fill their tables; what they measure is for people, no time is asserted."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from seg_export.network import to_onnx
from seg_export.steps.rewrite.apply import layers_of
from seg_export.steps.rewrite.layers import FORMS
from seg_toolkit.checkpoints import save
from seg_toolkit.data import ClassValues

from benchmarks import chart, peers, rewrites, volume
from benchmarks.accuracy import otsu
from benchmarks.apart import Apart, Here
from benchmarks.measure import random_checkpoint
from benchmarks.speed_forms import PLAIN, Bench, MissingError, Running, by_windows
from benchmarks.speed_goals import dice_drop, goals, speed_table
from benchmarks.speed_rows import Effort, large_image
from tests.support.places import ROOT


def benchmark(name: str, *options: object) -> str:
    words = [sys.executable, "-m", f"benchmarks.{name}", *map(str, options)]
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


def test_batch(tmp_path):
    benchmark("batch", "--quick", "--json", tmp_path / "figures.json")
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert [r["batch"] for r in rows] == [2, 4]
    assert all(r["ratio"] > 0 and r["error_of_range"] < 1e-5 for r in rows)


def test_otsu_cuts_between_two_heaps():
    values = np.array([10] * 50 + [12] * 50 + [200] * 30, np.uint8)
    assert 12 <= otsu(values) < 200


@pytest.fixture
def scored(tmp_path):
    """A network and a training folder of its kind, for the column of Dice."""
    checkpoint = random_checkpoint(width=4)
    checkpoint.classes = ClassValues.parse("background=0,cell=255")
    save(checkpoint, tmp_path / "scored.pt")
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (tmp_path / "cells" / part).mkdir(parents=True)
    for place in range(3):
        bright = rng.integers(0, 2, (90, 110), dtype=np.uint8) * np.uint8(255)
        Image.fromarray(bright).save(tmp_path / "cells" / "masks" / f"{place}.png")
        Image.fromarray(np.stack([bright] * 3, -1)).save(tmp_path / "cells" / "images" / f"{place}.png")
    return tmp_path / "scored.pt", tmp_path / "cells"


def test_speed(tmp_path, scored):
    first, second, picture = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "chart.png"
    words = ["--quick", "--folder", tmp_path / "forms", "--scored", *scored]
    benchmark(
        "speed", *words, "--forms", "unrewritten,fp32,plain,fp16,int8-ungated,int8", "--growth", "unrewritten",
        "--json", first,
    )  # fmt: skip
    forms = "plain-int8,torch-last,openvino,monai"
    shown = benchmark("speed", *words, "--forms", forms, "--join", first, "--json", second, "--chart", picture)
    assert "peak memory of a process" in shown
    assert "times as fast as 1" in shown
    figures = json.loads(second.read_text())
    rows = figures["rows"]
    assert set(rows) == {"unrewritten", "fp32", "plain", "fp16", "int8-ungated", "int8", *forms.split(",")}
    for key in ("unrewritten", "fp32", "plain", "plain-int8", "torch-last", "int8-ungated"):
        row = rows[key]
        assert min(row["window"]["ratio"], row["large"]["seconds"], row["process"]["peak_mb"], row["file_mb"]) > 0
        assert key == "int8-ungated" or 0 < row["dice"]["cells"] < 1
    assert rows["int8"]["missing"] == "the accuracy gate refuses random weights"
    assert 0 < rows["int8-ungated"]["window"]["error_of_range"] < 0.2
    assert rows["torch-last"]["window"]["error_of_range"] < 1e-4  # the same network, by another library
    assert rows["torch-last"]["large"]["flipped_per_million"] < 10
    assert "missing" not in rows["unrewritten"]
    for key, package in (("openvino", "openvino"), ("monai", "monai")):
        assert (
            rows[key].get("missing") == f"{package} is not installed" or rows[key]["large"]["flipped_per_million"] < 10
        )
    assert [r["images"] for r in figures["growth"]["unrewritten"]["folder"]] == [1, 3]
    with Image.open(picture) as image:
        assert image.width == chart.WIDTH


def test_large_image_keeps_the_baseline_in_step_and_finds_flipped_labels(tmp_path):
    contract = random_checkpoint(width=4).contract
    calls = []

    def infer(window):
        calls.append("plain")
        middle = window[:, :2, 92:-92, 92:-92]
        return np.concatenate([middle[:, :1], middle[:, :1] + np.float32(1)], 1)

    def labels(image, progress):  # two windows of its own; a corner is wrong
        for done in (1, 2):
            calls.append("ours")
            progress(done, 2)
        answer = np.ones(image.shape[:2], np.uint8)
        answer[:100, :10] = 0
        return answer

    ours, plain = Here(Running(labels), contract), Here(by_windows(infer, contract), contract)
    row = large_image(ours, plain, Effort(("large",), 1, 1000))  # 9 windows of the baseline
    assert calls == ["ours", *["plain"] * 4, "ours", *["plain"] * 5]
    assert row["flipped_per_million"] == pytest.approx(1000)
    calls.clear()
    row = large_image(ours, plain, Effort(("large",), 1, 1000, large_share=0.34))
    assert calls == ["ours", "plain", "ours", "plain", "plain"]
    assert row["baseline"][0] > 0
    assert row["flipped_per_million"] > 1000  # the corner's window is among a third of them


def test_cached_start_is_measured_as_a_process_only(tmp_path):
    benchmark("speed", "--quick", "--forms", "cached", "--parts", "window,process", "--json", tmp_path / "figures.json")
    row = json.loads((tmp_path / "figures.json").read_text())["rows"]["cached"]
    assert row["process"]["cold_s"] > 0
    assert "window" not in row


def test_every_rewrite_has_a_case():
    checkpoint = random_checkpoint(width=8)
    layers = layers_of(to_onnx(checkpoint.build(), checkpoint.contract))
    known = {form for forms in FORMS.values() for form in forms[1:]}
    assert {case.form for case in rewrites.cases(layers, list(rewrites.REWRITES))} == known


def test_rewrites_have_a_row_in_each_precision(tmp_path):
    forms = "split,slice,shuffled"  # used in fp32, in int8, and nowhere, so in both
    shown = benchmark("rewrites", "--quick", "--forms", forms, "--json", tmp_path / "figures.json")
    rows = json.loads((tmp_path / "figures.json").read_text())["rows"]
    found = [(r["form"], r["precision"]) for r in rows]
    assert found == [("split", "fp32"), ("slice", "int8"), ("shuffled", "fp32"), ("shuffled", "int8")]
    assert all(r["ratio"] > 0 and r["layers"] for r in rows)
    assert max(r["error_of_range"] for r in rows if r["precision"] == "fp32") < 1e-4
    assert shown.count("\n| ") == len(rows) + 2


def test_speed_all_goes_on_where_it_was_stopped(tmp_path):
    words = [tmp_path / "all", "--quick", "--until", 1]
    benchmark("speed_all", *words)
    made = (tmp_path / "all" / "ours.json").stat().st_mtime_ns
    shown = benchmark("speed_all", *words)
    assert (tmp_path / "all" / "ours.json").stat().st_mtime_ns == made
    assert "int8, accuracy not checked" in shown
    assert (tmp_path / "all" / "speed.png").exists()


def test_speed_refuses_to_join_another_machine(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"rows": {}, "growth": {}, "machine": "an abacus", "network": ""}))
    with pytest.raises(subprocess.CalledProcessError) as refused:
        benchmark("speed", "--join", tmp_path / "other.json")
    assert "an abacus" in refused.value.stderr


def measured(ratio: float, error: float, peak_mb: float, dice: float) -> dict[str, object]:
    return {
        "title": "a form", "file_mb": 1.0, "window": {"ratio": ratio, "ms": 1.0, "error_of_range": error},
        "process": {"ratio": 0.5, "cold_s": 1.0, "peak_mb": peak_mb}, "dice": {"em": dice},
    }  # fmt: skip


def test_goals_are_reached_missed_or_not_measured():
    rows = {"fp32": measured(0.7, 1e-6, 501, 0.950), "int8": measured(0.3, 0.1, 300, 0.948)}
    verdicts = {goal.what: goal.reached for goal in goals(rows)}
    assert verdicts["fp32 window, error ≤ 1e-4"] is True
    assert verdicts["fp32 window, tuned on this machine, error ≤ 1e-4"] is None
    assert verdicts["int8 window (ours, int8)"] is False
    assert verdicts["int8, points of Dice lost on em"] is True  # 0.2
    assert verdicts["peak memory of a process, fp32 window (ours, fp32)"] is False
    assert dice_drop(rows, "int8", "em") == pytest.approx(0.2)
    rows["fp32"] = measured(0.7, 2e-4, 500, 0.952)
    verdicts = {goal.what: goal.reached for goal in goals(rows)}
    assert verdicts["fp32 window, error ≤ 1e-4"] is False  # fast, and wrong
    assert verdicts["int8, points of Dice lost on em"] is False
    assert verdicts["peak memory of a process, fp32 window (ours, fp32)"] is True


def test_table_says_why_a_form_is_missing():
    shown = speed_table({"monai": {"title": "MONAI", "missing": "monai is not installed"}})
    assert "| MONAI | not measured: monai is not installed |" in shown


def test_chart_draws_bars_to_scale_with_the_goal_on_them():
    bars = (chart.Bar("half", 1.0, "1", True, goal=1.5), chart.Bar("whole", 2.0, "2", False))
    pixels = np.asarray(chart.draw("title", "", [chart.Panel("panel", bars, 1.0)]))[170:]  # below the legend
    color = {
        name: np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)])
        for name, c in vars(chart).items()
        if str(c)[:1] == "#"
    }
    columns = {name: np.flatnonzero((pixels == color[name]).all(-1).any(0)) for name in ("OURS", "OTHERS", "GOAL")}
    start = chart.EDGE + chart.LABELS
    ours, others, goal = (columns[name].max() - start for name in ("OURS", "OTHERS", "GOAL"))
    assert others == pytest.approx(2 * ours, abs=3)
    assert goal == pytest.approx(1.5 * ours, abs=4)


def test_a_form_apart_answers_as_here(tmp_path):
    checkpoint = random_checkpoint(width=4)
    bench = Bench(checkpoint, tmp_path, tmp_path, threads=1)
    here = Here(PLAIN.open(PLAIN.made(bench), bench.contract, 1), bench.contract)
    told = []
    with Apart(PLAIN, bench) as apart:
        assert apart.window_ms() > 0
        assert np.array_equal(apart.logits(), here.logits())
        labels, seconds = apart.labels(500, lambda *counts: told.append(counts))
        here.follow(500, 1.0)
        here.keep_up(1, 1)
        assert here.followed(labels) == (pytest.approx(sum(here.ms) / 1000), 0.0)
        assert told == [(n, 4) for n in range(1, 5)]
        assert seconds > 0
        with pytest.raises(RuntimeError, match="plain"):
            apart.keep_up(1, 1)  # nothing was told to follow


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA, which the form would find")
def test_why_a_form_cannot_be_opened_apart_is_told_here(tmp_path):
    bench = Bench(random_checkpoint(width=4), tmp_path, tmp_path, threads=1)
    save(bench.checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(MissingError, match="needs CUDA"), Apart(peers.FORMS["torch-cuda"], bench):
        pass


def test_a_volume_is_measured_in_a_process_of_its_own() -> None:
    rows = volume.measure((20, 48, 64))
    assert [row["network"] for row in rows] == ["unet3d", "unet"]
    assert all(0.03 < float(str(row["peak_gb"])) < volume.GOAL_GB for row in rows)
