"""Warnings about scores of few images, and one number for one thing."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from seg_toolkit.checkpoints import Split, load
from seg_toolkit.training.certainty import after_training, before_training

from tests.support.commands import error_of, ok, seg_train
from tests.support.folders import SMALL, write_pairs


def split(training: int, validation: int) -> Split:
    return Split({f"t{i}": str(i) for i in range(training)}, {f"v{i}": f"v{i}" for i in range(validation)})


@pytest.mark.parametrize(("training", "validation", "few"), [(8, 2, True), (6, 3, True), (30, 2, True), (8, 3, False)])
def test_few_images_are_warned_of_before_and_after(training: int, validation: int, few: bool) -> None:
    images = split(training, validation)
    assert (f"{validation} of {training + validation} images" in before_training(images, None)) is few
    told = after_training(images, "Dice", 0.8, {"images": validation, "interval_95": (0.61, 0.99)}, "")
    assert ("the validation Dice of 0.800 comes from" in told and "0.610 to 0.990" in told) is few


def test_one_image_shows_no_interval() -> None:
    told = after_training(split(4, 1), "Dice", 0.8, {"images": 1, "interval_95": None}, "")
    assert "comes from 1 image, which cannot show how much Dice differs" in told


def test_the_terminal_and_the_log_show_one_loss(tmp_path: Path) -> None:
    words = [write_pairs(tmp_path / "data"), "-o", tmp_path / "m.pt", *SMALL]
    done = ok(seg_train(*words, "--steps", "20", "--lr", "1e-2"))
    told = {int(step): float(loss) for step, loss in re.findall(r"step (\d+): loss ([\d.]+)", done.stderr)}
    logged = {int(row["step"]): float(row["loss"]) for row in csv.DictReader((tmp_path / "m.csv").open())}
    assert told == pytest.approx(logged, abs=1e-4)
    assert np.ptp(list(told.values())) > 0.01


def test_a_training_of_few_images_says_so_first_and_last(tmp_path: Path) -> None:
    done = ok(seg_train(write_pairs(tmp_path / "data", 4), "-o", tmp_path / "m.pt", *SMALL, "--steps", "1"))
    assert "warning: the score will come from 1 of 4 images" in done.stderr
    assert "comes from 1 image" in done.stderr.splitlines()[-1]


def test_folds_validate_each_image_once(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data", 5)
    seen = []
    for fold in ("1/2", "2/2"):
        out = tmp_path / f"{fold[0]}.pt"
        ok(seg_train(data, "-o", out, *SMALL, "--steps", "1", "--fold", fold))
        seen += sorted(load(out).split.validation)
    assert sorted(seen) == [f"a{i}" for i in range(5)]


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/1", "1", "a/b", ""])
def test_a_fold_that_does_not_exist_is_one_line(tmp_path: Path, fold: str) -> None:
    assert "--fold" in error_of(seg_train(tmp_path, "-o", tmp_path / "m.pt", "--fold", fold))


def test_a_fold_is_advised_to_be_averaged_with_the_others() -> None:
    assert "average it over all parts of the images, --fold 1/5 and so on" in before_training(split(4, 1), "3/5")
    assert "--val-list" not in before_training(split(4, 1), "3/5")


def test_an_option_that_is_ignored_is_named_once(tmp_path: Path) -> None:
    words = [write_pairs(tmp_path / "data", 4), "-o", tmp_path / "m.pt", *SMALL, "--steps", "1"]
    told = ok(seg_train(*words, "--fold", "1/2", "--val-fraction", "0.5")).stderr
    assert told.count("so --val-fraction is ignored") == 1
