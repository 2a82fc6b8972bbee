"""Which images export looks at: those of a data set in the layout that training read, or those of a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from seg_export.pictures import pictures
from seg_export.proof import some
from seg_runtime.support.errors import DataError
from seg_toolkit.checkpoints import load as load_checkpoint
from seg_toolkit.data.readers import PAIRS, read_data_set
from seg_toolkit.options import RECIPES, load_recipe

from samples.generators import generator
from tests.support.commands import ok, seg_export, seg_train
from tests.support.contracts import contract
from tests.support.images import disc, put

CONTRACT = contract()
PHOTOGRAPHS = "ISIC-2017_Training_Data"


@pytest.mark.parametrize("recipe", RECIPES.names())
def test_a_data_set_is_read_as_the_recipe_says(recipe: str, tmp_path: Path) -> None:
    reader = load_recipe(recipe).options.get("reader", PAIRS)
    generator(recipe).write(tmp_path, 3, 0)
    cases = read_data_set(reader, tmp_path, print).cases
    found = pictures(tmp_path, CONTRACT, reader)
    assert [(p.name, p.source) for p in found] == [(case.name, case) for case in cases]
    assert len(found) >= 2


def test_photographs_without_truth_are_images_of_a_folder(tmp_path: Path) -> None:
    generator("skin-lesion").write(tmp_path, 3, 0)
    for superpixels in (tmp_path / PHOTOGRAPHS).glob("*.png"):
        superpixels.unlink()
    alone = pictures(tmp_path / PHOTOGRAPHS, CONTRACT, "isic")
    assert [Path(p.name).name for p in alone] == [f"ISIC_000000{n}.jpg" for n in range(3)]
    assert [p.source for p in alone] == [(Path(p.name),) for p in alone]


def test_pairs_are_a_data_set_where_there_are_masks(tmp_path: Path) -> None:
    generator("semantic").write(tmp_path, 2, 0)
    assert [p.name for p in pictures(tmp_path, CONTRACT)] == ["000", "001"]
    assert [p.name for p in pictures(tmp_path / "images", CONTRACT)] == [
        str(tmp_path / "images" / f"00{n}.png") for n in (0, 1)
    ]
    shutil.rmtree(tmp_path / "instances", ignore_errors=True)
    for mask in (tmp_path / "masks").iterdir():
        mask.rename(mask.with_name(f"odd{mask.name}"))
    with pytest.raises(DataError, match="has the name of a mask"):
        pictures(tmp_path, CONTRACT)


def test_masks_beside_images_are_no_images(tmp_path: Path) -> None:
    for name in ("a", "a_mask", "b", "b_mask"):
        put(tmp_path / f"{name}.png", disc())
    assert [p.name for p in pictures(tmp_path, CONTRACT)] == ["a", "b"]


@pytest.mark.parametrize("inner", ["", "images"])
def test_images_in_subfolders_are_found_if_there_are_no_others(inner: str, tmp_path: Path) -> None:
    for name in ("day1/a", "day2/a", "day2/deep/b"):
        put(tmp_path / inner / f"{name}.png", disc())
    found = [Path(p.name).relative_to(tmp_path / inner).as_posix() for p in pictures(tmp_path, CONTRACT)]
    assert found == ["day1/a.png", "day2/a.png", "day2/deep/b.png"]
    put(tmp_path / inner / "c.png", disc())  # then the subfolders may be results
    assert [Path(p.name).name for p in pictures(tmp_path, CONTRACT)] == ["c.png"]


def test_neither_is_told_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"has no images, and .* has no photographs.*images or a data set of the reader isic"
    ):
        pictures(tmp_path, CONTRACT, "isic")
    with pytest.raises(DataError, match="is not a folder"):
        pictures(tmp_path / "nowhere", CONTRACT, "isic")


def test_some_are_evenly_spaced(tmp_path: Path) -> None:
    generator("semantic").write(tmp_path, 5, 0)
    assert [p.name for p in some(pictures(tmp_path, CONTRACT), 3)] == ["000", "002", "004"]
    assert len(some(pictures(tmp_path, CONTRACT), 9)) == 5


def test_export_takes_the_layout_of_the_checkpoints_reader(tmp_path: Path) -> None:
    data, model, target, report = (tmp_path / name for name in ("data", "m.pt", "m.onnx", "report.json"))
    generator("skin-lesion").write(data, 3, 0)
    words = [
        "--recipe", "skin-lesion", "--width", "2", "--depth", "1", "--input-size", "44", "--steps", "1", "--workers", "0",
    ]  # fmt: skip
    ok(seg_train(data, "-o", model, *words))
    assert load_checkpoint(model).reader == "isic"
    ok(seg_export(model, target, "--images", data, "--golden", data, "--report", report))
    assert json.loads(report.read_text())["parity"]["images"] == "real"
    assert target.exists()
