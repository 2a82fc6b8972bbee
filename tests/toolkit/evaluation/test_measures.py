"""`--metrics` and `--tta` of seg-train, from the command line to the table and the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_runtime.support.errors import SegError
from seg_toolkit.checkpoints import load, save
from seg_toolkit.data import Augmentation, ClassValues, Example
from seg_toolkit.evaluation import Measure, Measured, ObjectScores, confusion, label_summary, measure, with_measures

from tests.support.commands import error_of, ok, seg_edge, seg_train
from tests.support.folders import SMALL, cases_of, write_pairs
from tests.support.images import put

WITHOUT = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = classmethod(lambda cls, name, *rest: None if name == {package!r} else find(name, *rest))
from seg_runtime.cli.program import main
main()
"""
TILE = ["--width", "2", "--depth", "1", "--input-size", "28", "--workers", "0", "--device", "cpu", "--steps", "1"]


def test_what_is_asked_for() -> None:
    assert Measure.parse("hd95, surface-dice=2.50,rand,voi") == (
        Measure("hd95"),
        Measure("surface-dice", 2.5),
        Measure("rand"),
        Measure("voi"),
    )
    assert [measure.text for measure in Measure.parse("surface-dice=2.0,surface-dice=0")] == [
        "surface-dice=2",
        "surface-dice=0",
    ]
    [in_mm] = Measure.parse("surface-dice=1500 um")
    assert (in_mm.text, in_mm.tolerance_mm) == ("surface-dice=1500um", pytest.approx(1.5))
    assert [m.name for m in Measure.parse("ap,f1,pq,seg,count,rand") if m.of_objects] == [
        "ap",
        "f1",
        "pq",
        "seg",
        "count",
    ]
    assert Measure.parse("none") == Measure.parse("") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hd96", "ap, f1, pq, seg, count, hd95, surface-dice=TOLERANCE, rand, voi"),
        ("hd95,", "surface-dice=TOLERANCE"),
        ("hd95=2", "surface-dice=TOLERANCE"),
        ("surface-dice", "surface-dice=TOLERANCE"),
        ("surface-dice=", "a tolerance of 0 or more in px"),
        ("surface-dice=-1", "a tolerance of 0 or more in px"),
        ("surface-dice=inf", "a tolerance of 0 or more in px"),
        ("surface-dice=nan", "a tolerance of 0 or more in px"),
        ("rand,rand", "rand twice"),
        ("ap=0.5", "surface-dice=TOLERANCE"),
        ("surface-dice=2,surface-dice=2.0", "surface-dice=2 twice"),
        ("none,rand", "surface-dice=TOLERANCE"),
    ],
)
def test_odd_measures_are_refused(text: str, words: str) -> None:
    with pytest.raises(SegError, match=words):
        Measure.parse(text)


def test_means_over_images_count_where_there_is_something() -> None:
    rows = [
        Measured({"hd95": np.array([1.0, np.nan]), "rand": np.array([0.5])}),
        Measured({"hd95": np.array([2.0, np.nan]), "rand": np.array([np.nan])}),
    ]
    counts = [np.array([[8, 0], [0, 0]])] * 2
    full = with_measures(label_summary(counts, ["ground", "cell"]), Measure.parse("hd95,rand"), rows)
    assert [entry["hd95"] for entry in full["classes"]] == [1.5, None]
    assert full["rand"] == 0.5
    json.dumps(full, allow_nan=False)


def test_objects_are_instances_or_else_connected_components() -> None:
    """Two cells that touch: as components, the truth is one object; ids of the model replace its components."""
    labels, ids = np.ones((1, 4), np.uint8), np.array([[1, 1, 2, 2]], np.int32)
    classes = ClassValues.parse("ground=0,cell=255")
    counted = []
    for instances in (None, ids):
        for found in (None, ids):
            example = Example(np.zeros((1, 4, 1), np.uint8), labels, instances)
            scores = measure(Measure.parse("ap"), example, labels, classes, found=found).objects
            assert scores is not None
            counted.append((scores.true, scores.found, scores.merged, scores.split))
    assert counted == [(1, 1, 0, 0), (1, 2, 0, 1), (2, 1, 1, 0), (2, 2, 0, 0)]


def test_objects_are_measured_without_their_ring() -> None:
    """A square of 4 px with a ring on both sides of its edge: the model that draws the same ring has the same square."""
    plain = np.zeros((20, 20), np.uint8)
    plain[8:12, 8:12] = 1
    ring = np.zeros((20, 20), np.uint8)
    ring[7:13, 7:13] = 2
    ring[9:11, 9:11] = 1
    example = Example(np.zeros((20, 20, 1), np.uint8), ring, plain=plain)
    classes = ClassValues.parse("ground=0,cell=255,boundary=-1")
    scores = measure(Measure.parse("count"), example, ring, classes).objects
    assert scores is not None
    assert (scores.true, scores.found) == (1, 1)
    assert scores.matchings[0].iou_sum > 0.7  # the corners are rounded


def test_measures_of_objects_are_an_entry_of_their_own() -> None:
    summary = label_summary([np.array([[8, 0], [0, 0]])], ["ground", "cell"])
    scores = ObjectScores.of(np.array([1, 1, 2, 2]), np.array([1, 1, 0, 0]))
    full = with_measures(summary, Measure.parse("f1,count"), [Measured({}, scores)])
    assert full["objects"] == {
        "images": 1, "f1": pytest.approx(2 / 3), "precision": 1, "recall": 0.5, "true": 2, "found": 1, "merged": 0, "split": 0,
    }  # fmt: skip


@pytest.fixture
def constant(tmp_path: Path) -> Path:
    """A model that calls everything a cell."""
    path = tmp_path / "constant.pt"
    ok(seg_train(write_pairs(tmp_path / "pairs"), "-o", path, *TILE))
    checkpoint = load(path)
    for value in checkpoint.state.values():
        value.zero_()
    checkpoint.state["head.bias"][1] = 1.0
    save(checkpoint, path)
    return path


def test_evaluate_measures_as_by_hand(tmp_path: Path, constant: Path) -> None:
    """Two halves with a membrane between, and a model that merges them into one that fills the picture of 30×40 px."""
    mask = np.full((30, 40), 255, np.uint8)
    mask[:, 19:21] = 0
    put(tmp_path / "data" / "images" / "a.png", mask)
    put(tmp_path / "data" / "masks" / "a.png", mask)
    words = ["evaluate", constant, tmp_path / "data", "--json", tmp_path / "s.json"]
    done = ok(seg_edge(*words, "--metrics", "hd95,surface-dice=1,rand,voi"))
    scores = json.loads((tmp_path / "s.json").read_text())
    pairs = 570 * 569, 1140 * 1139  # of a half's px, and of both
    assert scores["rand"] == pytest.approx(1 - 2 * 2 * pairs[0] / (2 * pairs[0] + pairs[1]))
    assert (scores["voi"], scores["voi split"], scores["voi merge"]) == pytest.approx((1, 0, 1))
    ground, cell = scores["classes"]
    assert (ground["hd95"], ground["surface-dice=1"]) == (50, 0)  # nothing of it was found: the diagonal
    assert cell["hd95"] > 5
    assert 0.5 < cell["surface-dice=1"] < 1
    assert scores["tta"] is False
    table = done.stderr[done.stderr.index("class ") :].splitlines()
    assert table[0].split() == ["class", "Dice", "IoU", "hd95", "surface-dice=1"]
    assert table[1].split()[-2:] == ["50.0000", "0.0000"]
    assert (
        f"rand {scores['rand']:.4f}, voi 1.0000, voi split 0.0000, voi merge 1.0000, mean Dice 0.4872 over 1 image"
        in table[3]
    )


def test_the_metrics_of_training_are_those_of_its_evaluation(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    done = ok(seg_train(data, "-o", out, *SMALL, "--steps", "1", "--metrics", "surface-dice=2.0"))
    assert "surface-dice" not in done.stdout  # training itself is judged by Dice
    assert load(out).contract.provenance["settings"]["metrics"] == "surface-dice=2"
    assert "surface-dice=2" in seg_edge("evaluate", out, data).stderr
    assert "surface-dice" not in seg_edge("evaluate", out, data, "--metrics", "none").stderr
    other = seg_edge("evaluate", out, data, "--metrics", "rand").stderr
    assert "rand" in other
    assert "surface-dice" not in other


@pytest.mark.parametrize("evaluate", [True, False])
def test_an_unknown_metric_is_one_line(tmp_path: Path, constant: Path, evaluate: bool) -> None:
    words = ["evaluate", constant] if evaluate else ["train", "-o", tmp_path / "new.pt", *TILE]
    done = seg_edge(*words, tmp_path / "pairs", "--metrics", "warping")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(
        "error: --metrics has 'warping'; expected ap, f1, pq, seg, count, hd95, surface-dice=TOLERANCE, rand, voi"
    )
    assert not (tmp_path / "new.pt").exists()


@pytest.mark.parametrize("evaluate", [False, True])
def test_a_tolerance_in_mm_without_the_size_of_pixels_ends_before_any_work(
    tmp_path: Path, constant: Path, evaluate: bool
) -> None:
    words = ["evaluate", constant] if evaluate else ["train", "-o", tmp_path / "new.pt", *TILE]
    done = seg_edge(*words, tmp_path / "pairs", "--metrics", "surface-dice=1mm")
    assert "needs the size of a pixel" in error_of(done)
    assert "step" not in done.stderr
    assert not (tmp_path / "new.pt").exists()


@pytest.mark.parametrize(("metric", "package"), [("hd95", "surface_distance"), ("rand", "skimage")])
def test_a_missing_package_names_its_extra(tmp_path: Path, constant: Path, metric: str, package: str) -> None:
    """In a process in which Python cannot find it."""
    code = WITHOUT.format(package=package)
    words = ["evaluate", str(constant), str(tmp_path / "pairs"), "--metrics", metric]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {package.replace('skimage', 'scikit-image')} ")
    assert "install 'seg-edge[metrics]'" in line


def test_turned_evaluation_is_that_of_the_exported_file(tmp_path: Path) -> None:
    """A random network and its file, by seg-train --tta and by Segmenter(tta=True): the same pixels, hence the same scores."""
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *TILE))
    scores = {}
    for words in ([], ["--tta"]):
        ok(seg_edge("evaluate", out, data, "--include-training", *words, "--json", tmp_path / "s.json"))
        scores[bool(words)] = json.loads((tmp_path / "s.json").read_text())
    assert (scores[False]["tta"], scores[True]["tta"]) == (False, True)
    assert scores[False]["pixel_error"] != scores[True]["pixel_error"]
    checkpoint = load(out)
    write(export(checkpoint), tmp_path / "m.onnx")
    counts = []
    with Segmenter(tmp_path / "m.onnx", provider="cpu", tta=True) as segmenter:
        for case in cases_of("pairs", data, print):
            example = case.read(checkpoint.classes)
            counts.append(confusion(example.labels, segmenter(example.image).labels, 2))
    wanted = label_summary(counts, ["background", "foreground"])
    assert scores[True]["pixel_error"] == pytest.approx(wanted["pixel_error"], abs=1e-3)
    assert scores[True]["mean_dice"] == pytest.approx(wanted["mean_dice"], abs=1e-3)


@pytest.mark.parametrize(
    ("augment", "turns"),
    [
        ("slight", True), ("wide", True), ("none", False), ("none,flips=square", True), ("none,flips=all", False), ("slight,flips=none", False), ("slight,flips=horizontal", True),
        ("slight,rotation=10,flips=horizontal", False), ("slight,rotation=10", False), ("slight,rotation=90", True),
    ],
)  # fmt: skip
def test_which_augmentation_shows_pictures_every_way_up(augment: str, turns: bool) -> None:
    assert Augmentation.parse(augment).every_way_up is turns


def test_a_model_of_upright_pictures_is_not_turned(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *TILE, "--augment", "slight,rotation=10,flips=horizontal"))
    done = seg_edge("evaluate", out, data, "--include-training", "--tta")
    assert done.exit_code == 1
    assert "upright images only" in done.stderr
