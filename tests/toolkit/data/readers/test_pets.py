from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.data import ClassValues

from tests.support.folders import cases_of
from tests.support.images import put

CLASSES = ClassValues.parse("background=2,animal=1,boundary=3")
LISTS = {
    "list.txt": "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 Class ids\nAbyssinian_1 1 1 1\nbeagle_2 2 2 1\npug_3 3 2 2\n",
    "trainval.txt": "Abyssinian_1 1 1 1\nbeagle_2 2 2 1\n",
    "test.txt": "pug_3 3 2 2\n",
}


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("Abyssinian_1", "beagle_2", "pug_3"):
        put(tmp_path / "images" / f"{name}.jpg", np.full((2, 3, 3), 90, np.uint8))
        put(tmp_path / "annotations" / "trimaps" / f"{name}.png", np.array([[2, 3, 1], [2, 2, 3]], np.uint8))
    (tmp_path / "annotations" / "trimaps" / "._beagle_2.png").write_bytes(b"\0\5\26\7Mac OS X")
    (tmp_path / "images" / "beagle_2.mat").write_bytes(b"x")
    for name, text in LISTS.items():
        (tmp_path / "annotations" / name).write_text(text)
    return tmp_path


def names(reader: str, root: Path) -> list[str]:
    told: list[str] = []
    found = [c.name for c in cases_of(reader, root, told.append)]
    assert told == []
    return found


def test_the_lists_say_what_is_trained_on(pets: Path) -> None:
    assert names("pets", pets) == ["Abyssinian_1", "beagle_2"]
    assert names("pets:split=test", pets) == ["pug_3"]
    assert names("pets:test", pets) == ["pug_3"]
    assert names("pets:split=all", pets) == ["Abyssinian_1", "beagle_2", "pug_3"]


def test_trimaps_become_background_animal_boundary(pets: Path) -> None:
    example = cases_of("pets", pets, print)[0].read(CLASSES)
    assert example.labels.tolist() == [[0, 2, 1], [0, 0, 2]]
    assert example.image.shape == (2, 3, 3)


def test_what_is_missing_or_no_jpeg_is_told_and_left_out(pets: Path) -> None:
    (pets / "annotations" / "trimaps" / "Abyssinian_1.png").unlink()
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(pets / "images" / "pug_3.jpg", "GIF")
    told: list[str] = []
    assert [c.name for c in cases_of("pets:split=all", pets, told.append)] == ["beagle_2"]
    assert "Abyssinian_1" in told[0]
    assert "pug_3" in told[1]


def test_another_split_is_refused(pets: Path) -> None:
    with pytest.raises(SegError, match="trainval, test, all"):
        cases_of("pets:split=val", pets, print)


@pytest.mark.parametrize(
    ("gone", "told"),
    [("images", "no folder images"), ("annotations/trimaps", "no folder annotations/trimaps"),
     ("annotations/trainval.txt", "trainval.txt cannot be read")],
)  # fmt: skip
def test_another_layout_is_refused(pets: Path, gone: str, told: str) -> None:
    (pets / gone).rename(pets / "elsewhere")
    with pytest.raises(DataError, match=told):
        cases_of("pets", pets, print)


def test_a_list_of_other_names_is_refused(pets: Path) -> None:
    (pets / "annotations" / "trainval.txt").write_text("cat_1 1 1 1\n")
    with pytest.raises(DataError, match="contains no image that"):
        cases_of("pets", pets, lambda text: None)


def test_a_list_never_leaves_the_folder(pets: Path) -> None:
    (pets / "annotations" / "trainval.txt").write_text("../../etc/passwd 1 1 1\n")
    with pytest.raises(DataError, match=r"names '\.\./\.\./etc/passwd'"):
        cases_of("pets", pets, print)
