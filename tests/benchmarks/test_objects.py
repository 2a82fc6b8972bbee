"""The benchmark of objects: what it splits, trains, scores and draws; StarDist itself is not installed here."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from seg_export.pipeline import export, write
from seg_toolkit.evaluation import Overlap

from benchmarks import objects, objects_scores
from benchmarks.measure import random_checkpoint
from tests.benchmarks.test_benchmarks import benchmark
from tests.support.touching import of_objects, write_touching


@pytest.fixture
def plan(tmp_path):
    plan = objects.Plan(tmp_path / "out", data=write_touching(tmp_path / "data", count=8), test=2, width=4, steps=1)
    objects.run("split", plan, ())
    return plan


def stems(folder):
    return {path.stem for path in folder.iterdir()}


def test_a_test_image_is_in_no_other_part(plan):
    split = plan.read("split")
    parts = [set(split[part]) for part in ("training", "validation", "test")]
    assert [len(part) for part in parts] == [5, 1, 2]  # a fifth of 6 is for validation
    assert len(set.union(*parts)) == 8
    for folder in ("images", "instances"):
        assert stems(plan.folder / "test" / folder) == {name[:-4] for name in split["test"]}
        assert stems(plan.folder / "training" / folder) == {name[:-4] for name in parts[0] | parts[1]}
    assert (plan.folder / "validation.txt").read_text().split() == [name[:-4] for name in split["validation"]]
    assert split["grey"]


def test_a_part_is_not_repeated_and_another_split_is_refused(plan, capsys):
    written = plan.figures("split").stat().st_mtime_ns
    objects.run("split", plan, ())
    assert "done before" in capsys.readouterr().out
    assert plan.figures("split").stat().st_mtime_ns == written
    other = objects.Plan(plan.folder, data=plan.data, test=3)
    with pytest.raises(SystemExit, match="choose another folder"):
        objects.run("split", other, ())


def test_stardist_needs_the_time_of_the_others(plan):
    with pytest.raises(SystemExit, match="run the part train components first"):
        objects.run("train", plan, ["stardist"])


def predicted(plan, method, change):
    """Write predictions that are changed truth, as a method would."""
    split = plan.read("split")
    out = plan.folder / "predicted" / method
    out.mkdir(parents=True)
    for name in split["test"]:
        truth = objects_scores.truth_of(plan.folder, split, name)
        np.save(out / f"{name[:-4]}.npy", change(truth))
    (plan.figures(f"train-{method}")).write_text(json.dumps({"wall_s": 120, "cpu_s": 60}))
    seconds = dict.fromkeys(split["test"], 0.5)
    (plan.figures(f"predict-{method}")).write_text(json.dumps({"method": method, "seconds": seconds}))


def test_scores_table_and_picture(plan, capsys):
    predicted(plan, "border", lambda truth: truth)
    predicted(plan, "stardist", lambda truth: np.where(truth == 2, 1, truth))  # merges the two discs that touch
    objects.run("score", plan, ())
    ours, theirs = (plan.read("scores")["methods"][method] for method in ("border", "stardist"))
    assert (ours["ap"]["mean"], ours["f1"], ours["pq"], ours["count_error"], ours["merged"]) == (1, 1, 1, 0, 0)
    assert (theirs["count_error"], theirs["merged"]) == (1, 2)
    assert theirs["count_error_of_true"] == pytest.approx(1 / 3)  # 3 discs in an image, 2 found
    assert theirs["recall"] == pytest.approx(2 / 3)  # the larger disc is more than half of both, and matches at 0.5
    shown = capsys.readouterr().out
    assert "| border | 1.000 | 1.000 |" in shown
    assert "| 2.0 | 1.0 | 0.50 |" in shown
    objects.run("picture", plan, ())
    with Image.open(plan.folder / "picture.png") as picture:
        assert picture.width == 4 * objects_scores._WIDTH + 5 * objects_scores._GAP  # image, truth, two methods
        colours = np.unique(np.asarray(picture).reshape(-1, 3), axis=0).astype(int)
    assert (np.ptp(colours, axis=1) > 100).any()  # outlines; the images are grey


def test_random_pairs_have_the_cases_that_scores_may_differ_in():
    pairs = list(objects_scores.random_pairs(60))
    overlaps = [Overlap.of(truth, found) for truth, found in pairs]
    assert any((overlap.iou == 0.5).sum() > 1 for overlap in overlaps)  # halves
    assert any(overlap.merged for overlap in overlaps)
    assert any(overlap.split for overlap in overlaps)
    empty = {(bool(truth.any()), bool(found.any())) for truth, found in pairs}
    assert empty == {(True, True), (True, False), (False, False)}
    assert any(0 < iou < 1 for overlap in overlaps for iou in overlap.iou)


def test_a_score_that_differs_is_seen():
    truth = np.array([[1, 1, 1, 0, 2, 2]])
    found = np.array([[5, 5, 0, 0, 0, 7]])  # IoU 2/3 and 1/2
    both = {"tp": 2, "fp": 0, "fn": 0, "accuracy": 1, "precision": 1, "recall": 1, "f1": 1}
    one = {"tp": 1, "fp": 1, "fn": 1, "accuracy": 1 / 3, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    none = dict.fromkeys(both, 0) | {"fp": 2, "fn": 2}
    sums = {id(both): 7 / 6, id(one): 2 / 3, id(none): 0}
    rows = [both if iou <= 0.5 else one if iou <= 2 / 3 else none for iou in objects_scores.CHECKED]
    theirs = [row | {"panoptic_quality": sums[id(row)] / 2, "exact_sum": sums[id(row)]} for row in rows]
    assert max(objects_scores.differences([(truth, found)], [theirs]).values()) < 1e-12
    theirs[3]["recall"] += 1e-6
    assert objects_scores.differences([(truth, found)], [theirs])["recall"] == pytest.approx(1e-6)
    nothing = np.zeros((1, 6), int)
    zeros = [dict.fromkeys(theirs[0], 0)] * len(theirs)
    assert max(objects_scores.differences([(nothing, nothing)], [zeros]).values()) == 0  # StarDist's 0 is our NaN


def test_a_method_of_ours_from_training_to_scores(plan):
    words = ["--width", 4, "--steps", 1]
    for part in ("train", "predict"):
        benchmark("objects", part, plan.folder, "components", *words)
    benchmark("objects", "score", plan.folder)
    training, found = plan.read("train-components"), plan.read("scores")["methods"]["components"]
    assert min(training["wall_s"], training["cpu_s"]) > 0.1
    assert found["images"] == 2
    assert found["true"] == 3
    ids = np.load(plan.folder / "predicted" / "components" / f"{plan.read('split')['test'][0][:-4]}.npy")
    assert ids.shape == (64, 64)
    assert ids.dtype == np.int32


def test_the_cost_beside_a_network_has_a_row_for_each_image_and_each_file(tmp_path):
    checkpoint = random_checkpoint(width=2, channels=1, classes=3)
    one = of_objects(window=572, mask_threshold=1e-6, peak_px=100.0)  # object, since a random network finds thousands
    write(export(replace(checkpoint, contract=one)), tmp_path / "m.onnx")
    images = write_touching(tmp_path / "data", count=2) / "images"
    options = ("--side", 300, "--width", 4, "--json", tmp_path / "figures.json")
    shown = benchmark("objects_cost", tmp_path / "m.onnx", images, *options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [row["windows"] for row in figures["rows"]] == [1, 1, 1]
    assert all(row["network_ms"] > 0 and row["grow_ms"] > 0 for row in figures["rows"])
    assert set(figures["files_ms"]) == {"measures", "table", "labels", "geojson", "roi", "coco", "ome-tiff"}
    assert figures["peak_mb"]["image"] > 0
    assert shown.count("| a") == 2
