from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_toolkit.checkpoints import load, save

from tests.support.commands import error_of, ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_pairs
from tests.support.images import disc, put


def test_evaluate_refuses_masks_that_training_would_refuse(tmp_path: Path, model: Path) -> None:
    root = write_pairs(tmp_path / "data")
    inverted = Image.fromarray(1 - disc() // 255)
    inverted.putpalette([255, 255, 255, 0, 0, 0])
    inverted.save(root / "masks" / "a1.png")
    assert "#ffffff for 0" in error_of(seg_edge("evaluate", model, root))


def test_evaluate_prints_a_table_for_people_and_json_for_programs(tmp_path: Path, model: Path) -> None:
    result = ok(seg_edge("evaluate", model, write_pairs(tmp_path / "data")))
    scores = json.loads(result.stdout)
    assert scores["images"] == 3
    head, *table = result.stderr[result.stderr.index("class ") :].splitlines()
    assert head.split() == ["class", "Dice", "IoU"]
    for line, entry in zip(table[:2], scores["classes"], strict=True):
        assert line.split() == [entry["name"], f"{entry['dice']:.4f}", f"{entry['iou']:.4f}"]
    assert f"pixel error {scores['pixel_error']:.4f}" in table[2]


def test_evaluate_writes_the_same_json(tmp_path: Path, model: Path) -> None:
    result = seg_edge("evaluate", model, write_pairs(tmp_path / "data"), "--json", tmp_path / "scores.json")
    written = (tmp_path / "scores.json").read_text()
    assert result.stdout == written
    assert json.loads(written)["classes"][1]["name"] == "cell"


def test_evaluate_scores_a_constant_model_as_by_hand(tmp_path: Path, model: Path) -> None:
    checkpoint = load(model)
    for value in checkpoint.state.values():
        value.zero_()
    checkpoint.state["head.bias"][0] = 1.0  # everything is background
    save(checkpoint, model)
    mask = np.zeros((40, 40), np.uint8)
    mask[:10] = 255
    put(tmp_path / "data" / "images" / "a.png", mask)
    put(tmp_path / "data" / "masks" / "a.png", mask)
    ok(seg_edge("evaluate", model, tmp_path / "data", "--json", tmp_path / "s.json"))
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["pixel_error"] == pytest.approx(0.25)
    assert scores["classes"][0]["dice"] == pytest.approx(2 * 0.75 / 1.75)
    assert scores["classes"][0]["iou"] == pytest.approx(0.75)
    assert scores["classes"][1]["dice"] == 0


def test_evaluate_repeats_the_validation_of_training(cells: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("000\n")
    arguments = ["--steps", "1", "--val-list", tmp_path / "list.txt"]
    seg_train(cells, "-o", tmp_path / "model.pt", *SMALL, *arguments)
    for part in ("images", "masks"):
        (tmp_path / "one" / part).mkdir(parents=True)
        (tmp_path / "one" / part / "000.png").write_bytes((cells / part / "000.png").read_bytes())
    seg_edge("evaluate", tmp_path / "model.pt", tmp_path / "one", "--json", tmp_path / "s.json")
    scores = json.loads((tmp_path / "s.json").read_text())
    then = load(tmp_path / "model.pt").contract.provenance["validation"]
    assert scores["mean_dice"] == pytest.approx(then["mean_dice"])


def test_evaluate_with_masks_of_other_values(tmp_path: Path, model: Path) -> None:
    for i in range(2):
        put(tmp_path / "data" / "images" / f"{i}.png", disc())
        put(tmp_path / "data" / "masks" / f"{i}.png", disc() // 85)
    assert "contains the value 3" in error_of(seg_edge("evaluate", model, tmp_path / "data"))
    ok(seg_edge("evaluate", model, tmp_path / "data", "--classes", "a=0,b=3"))


def test_evaluate_of_a_mask_that_would_broadcast_is_refused(tmp_path: Path, model: Path) -> None:
    put(write_pairs(tmp_path / "data") / "masks" / "a1.png", disc(40)[20:21])
    error_of(seg_edge("evaluate", model, tmp_path / "data"))


def test_evaluate_without_a_model_is_one_line(tmp_path: Path) -> None:
    line = error_of(seg_edge("evaluate", tmp_path / "none.pt", write_pairs(tmp_path / "data")))
    assert "none.pt does not exist" in line


def test_evaluate_of_a_foreign_file_is_one_line(tmp_path: Path) -> None:
    picture = write_pairs(tmp_path / "data") / "images" / "a0.png"
    assert "a0.png" in error_of(seg_edge("evaluate", picture, tmp_path / "data"))


def test_evaluate_of_a_state_to_resume_from_is_one_line(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "data")
    seg_train(root, "-o", tmp_path / "model.pt", *SMALL, "--steps", "1")
    error_of(seg_edge("evaluate", tmp_path / "model.resume.pt", root))


def test_evaluate_with_another_number_of_classes_is_refused(tmp_path: Path, model: Path) -> None:
    line = error_of(seg_edge("evaluate", model, write_pairs(tmp_path / "data"), "--classes", "a=0,b=255,c=7"))
    assert "lists 3" in line


def _put_stripes(root: Path, name: str, *rows: slice) -> None:
    mask = np.zeros((40, 40), np.uint8)
    for part in rows:
        mask[part] = 255
    put(root / "images" / f"{name}.png", np.full((40, 40), 90, np.uint8) + mask // 4)
    put(root / "masks" / f"{name}.png", mask)


@pytest.fixture
def halves(tmp_path: Path, model: Path) -> Path:
    """Images of 40×40 px with 0, 1 and 2 cells: none, all, and two stripes; and a model that finds one cell everywhere."""
    checkpoint = load(model)
    for value in checkpoint.state.values():
        value.zero_()
    checkpoint.state["head.bias"][1] = 1.0
    save(checkpoint, model)
    for name, rows in (("none", []), ("one", [slice(0, 40)]), ("two", [slice(0, 15), slice(20, 40)])):
        _put_stripes(tmp_path / "data", name, *rows)
    return tmp_path / "data"


def test_evaluate_counts_objects_as_by_hand(tmp_path: Path, model: Path, halves: Path) -> None:
    """One object fits; of the two, one is half of the found one, whose IoU of 20/40 just matches; one is false."""
    words = ["--metrics", "ap,f1,pq,seg,count", "--json", tmp_path / "s.json"]
    done = ok(seg_edge("evaluate", model, halves, *words))
    found = json.loads((tmp_path / "s.json").read_text())["objects"]
    assert (found["ap"]["0.50"], found["ap"]["0.55"]) == pytest.approx((2 / 4, 1 / 5))
    assert (found["f1"], found["precision"], found["recall"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (found["pq"], found["seg"]) == pytest.approx((1.5 / 3, (1 + 20 / 40 + 15 / 40) / 3))
    assert (found["true"], found["found"], found["merged"], found["split"]) == (1, 1, 1, 0)
    table = done.stderr[done.stderr.index("class ") :].splitlines()
    assert table[0].split() == ["class", "Dice", "IoU"]
    assert table[3].startswith(
        "objects of all images: AP 0.5000 at IoU 0.50, 0.2000 at IoU 0.75, 0.2000 at IoU 0.90, mean 0.2333; F1 "
    )
    assert table[4] == "objects per image: 1.0 true, 1.0 found; in all images, 1 merged and 0 split"


def test_evaluate_lists_images_with_the_worst_first(tmp_path: Path, model: Path, halves: Path) -> None:
    ok(seg_edge("evaluate", model, halves, "--csv", tmp_path / "s.csv", "--worst", tmp_path / "w.png"))
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [row["name"] for row in rows] == ["none", "two", "one"]  # by Dice: 0, between, 1
    assert [float(row["pixel_error"]) for row in rows] == pytest.approx([1, 200 / 1600, 0])
    assert float(rows[1]["cell dice"]) == pytest.approx(2 * 1400 / (1400 + 1600))
    assert (rows[2]["background dice"], float(rows[2]["cell dice"])) == ("", 1)  # a class in neither has no score
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.size == (900, 22 + 3 * (296 + 22 + 8))


def test_evaluate_sorts_images_by_their_objects_if_these_are_measured(
    tmp_path: Path, model: Path, halves: Path
) -> None:
    """Nothing to find and a false object is as bad as can be; of the two cells, one matches at the lowest threshold. A cell
    of 25 rows has a lower Dice than these, but an IoU of 25/40 that matches at three."""
    _put_stripes(halves, "part", slice(0, 25))
    words = ["--metrics", "ap,count", "--csv", tmp_path / "s.csv", "--worst", tmp_path / "w.png"]
    done = ok(seg_edge("evaluate", model, halves, *words))
    assert f"drew 4 images with the lowest scores in {tmp_path / 'w.png'}" in done.stderr
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    assert [row["name"] for row in rows] == ["none", "two", "part", "one"]
    assert [float(row["objects ap mean"]) for row in rows] == pytest.approx([0, 1 / 2 / 9, 3 / 9, 1])
    assert float(rows[1]["mean_dice"]) > float(rows[2]["mean_dice"])
    assert [row["objects true"] for row in rows] == ["0.0", "2.0", "1.0", "1.0"]
    with Image.open(tmp_path / "w.png") as picture:
        two = np.asarray(picture)[22 + 326 : 22 + 326 + 296, 300:600].astype(int)  # the truth of the second row
    for colour in ((86, 180, 233), (213, 94, 0)):  # one cell matches, one was missed
        assert (two == colour).all(axis=-1).sum() > 100


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--csv", "random.pt"], "--csv random.pt is the model file"),
        (["--json", "s", "--csv", "s"], "--csv s is the file of --json too"),
        (["--worst", "w.jpg"], "--worst is w.jpg; expected a name that ends with .png"),
    ],
)
def test_evaluate_refuses_files_before_it_scores(
    tmp_path: Path, model: Path, words: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = model.read_bytes()
    assert problem in error_of(seg_edge("evaluate", model.name, write_pairs(tmp_path / "data"), *words))
    assert model.read_bytes() == before
