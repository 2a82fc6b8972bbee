"""What a model says about the images of its training, and how `evaluate` uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from seg_runtime.support import ModelError, named
from seg_toolkit.checkpoints import load
from seg_toolkit.data import image_digest, read_image

from tests.support.commands import error_of, ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_pairs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on 4 of the 5 images of `data`."""
    root = tmp_path_factory.mktemp("split")
    write_pairs(root / "data", 5)
    ok(seg_train(root / "data", "-o", root / "model.pt", *SMALL, "--steps", "1"))
    return root / "model.pt"


def scores_of(*words: Any) -> tuple[dict[str, Any], str]:
    done = ok(seg_edge("evaluate", *words))
    return json.loads(done.stdout), done.stderr


def test_the_split_lies_beside_the_model_and_in_it(trained: Path) -> None:
    written = json.loads((trained.parent / "model.split.json").read_text())
    assert written == load(trained).split.to_dict() == load(trained.parent / "model.resume.pt").split.to_dict()
    assert (len(written["training"]), len(written["validation"])) == (4, 1)
    for use in ("training", "validation"):
        for name, digest in written[use].items():
            assert digest == image_digest(read_image(trained.parent / "data" / "images" / f"{name}.png"))


def test_the_summary_has_the_numbers_but_no_name_of_an_image(trained: Path) -> None:
    contract = load(trained).contract
    assert contract.provenance["images"] == {"training": 4, "validation": 1}
    assert not any(f'"a{i}"' in contract.to_json() for i in range(5))  # a name may tell who a patient is


def test_images_of_the_training_are_not_scored(trained: Path) -> None:
    scores, said = scores_of(trained, trained.parent / "data")
    split = load(trained).split
    assert scores["images"] == 1
    assert scores["uses"] == {"training": [], "validation": list(split.validation), "left_out": list(split.training)}
    assert f"left out 4 images that the model was trained on: {named(list(split.training))};" in said
    assert "1 image chose the best weights" in said


def test_they_are_scored_if_asked_for_with_a_warning(trained: Path) -> None:
    scores, said = scores_of(trained, trained.parent / "data", "--include-training")
    split = load(trained).split
    assert scores["images"] == 5
    assert scores["uses"] == {"training": list(split.training), "validation": list(split.validation), "left_out": []}
    assert "the model was trained on 4 images of these" in said


def test_a_list_of_images_is_scored_as_it_is(trained: Path, tmp_path: Path) -> None:
    name = next(iter(load(trained).split.training))
    (tmp_path / "list.txt").write_text(name)
    scores, said = scores_of(trained, trained.parent / "data", "--val-list", tmp_path / "list.txt")
    assert (scores["images"], scores["uses"]["training"]) == (1, [name])
    assert f"the model was trained on 1 image of these, so new ones may score lower: {name}" in said


def test_a_renamed_copy_is_known_and_a_new_image_of_the_same_name_is_not(trained: Path, tmp_path: Path) -> None:
    data = trained.parent / "data"
    name = next(iter(load(trained).split.training))
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        with Image.open(data / part / f"{name}.png") as picture:
            picture.save(tmp_path / part / "renamed.tif")
            picture.rotate(90, fillcolor=1 if part == "images" else 0, translate=(1, 0)).save(
                tmp_path / part / f"{name}.png"
            )
    scores, said = scores_of(trained, tmp_path)
    assert (scores["images"], scores["uses"]["left_out"]) == (1, ["renamed"])
    assert "left out 1 image" in said


def test_a_folder_of_training_images_only_is_refused(trained: Path, tmp_path: Path) -> None:
    name = next(iter(load(trained).split.training))
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        shutil.copy(trained.parent / "data" / part / f"{name}.png", tmp_path / part)
    line = error_of(seg_edge("evaluate", trained, tmp_path))
    assert "trained on every image of DATA (1)" in line
    assert "--include-training" in line


def test_a_model_without_a_split_says_so(trained: Path, tmp_path: Path) -> None:
    content = torch.load(trained, weights_only=True)
    del content["split"]
    torch.save(content, tmp_path / "old.pt")
    scores, said = scores_of(tmp_path / "old.pt", trained.parent / "data")
    assert scores["images"] == 5
    assert "old.pt does not say which images it was trained on" in said


@pytest.mark.parametrize(
    "odd",
    [[], {"training": []}, {"training": {"a": 1}}, {"validation": {2: "a"}}, {"earlier": [1]}, {"earlier": "a"}, 7],
)
def test_a_damaged_split_is_refused(trained: Path, tmp_path: Path, odd: Any) -> None:
    content = torch.load(trained, weights_only=True)
    torch.save({**content, "split": odd}, tmp_path / "odd.pt")
    with pytest.raises(ModelError, match="the split is not made of names and digests"):
        load(tmp_path / "odd.pt")
