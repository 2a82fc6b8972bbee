from __future__ import annotations

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
