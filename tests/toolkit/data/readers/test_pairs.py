from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.support import DataError
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.data.readers.pairs import PairCase

from tests.support.folders import TWO, cases_of, write_pairs
from tests.support.images import disc, put
from tests.support.masks import chosen


def silent(line: str) -> None:
    raise AssertionError(line)


def names(root: Path, told: list[str] | None = None) -> list[str]:
    return [c.name for c in cases_of("pairs", root, silent if told is None else told.append)]


def test_images_and_masks_are_matched_by_name(tmp_path: Path) -> None:
    first = cases_of("pairs", write_pairs(tmp_path), silent)[0]
    assert first == PairCase("a0", tmp_path / "images" / "a0.png", tmp_path / "masks" / "a0.png", None)


def test_image_and_mask_may_have_different_formats(tmp_path: Path) -> None:
    put(tmp_path / "images" / "x.jpeg", disc())
    put(tmp_path / "masks" / "x.TIF", disc())
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("ending", ["_mask", "_Masks", "-seg", "_label", ".labels", "_segmentation", "_gt"])
@pytest.mark.parametrize("folder", ["masks", "images", "."])
def test_masks_may_have_an_ending_and_lie_beside_the_images(tmp_path: Path, ending: str, folder: str) -> None:
    for name in ("a", "b_1"):
        put(tmp_path / ("." if folder == "." else "images") / f"{name}.png", disc())
        put(tmp_path / folder / f"{name}{ending}.gif", disc())
    data, classes, _ = chosen(tmp_path)
    assert [case.name for case in data.cases] == ["a", "b_1"]
    np.testing.assert_array_equal(data.cases[0].read(classes).labels, disc() // 255)


@pytest.mark.parametrize(
    ("image", "mask"), [("_img", "_masks"), ("_sat", "_mask"), ("_training", "_manual1"), ("_IMG", "")]
)
def test_images_may_have_an_ending_as_well(tmp_path: Path, image: str, mask: str) -> None:
    put(tmp_path / "images" / f"a{image}.tif", disc())
    put(tmp_path / "masks" / f"a{mask}.tif", disc())
    assert names(tmp_path) == ["a"]


def test_the_same_name_comes_before_an_ending(tmp_path: Path) -> None:
    write_pairs(tmp_path, 1)
    put(tmp_path / "masks" / "a0_mask.png", disc())
    told: list[str] = []
    assert names(tmp_path, told) == ["a0"]
    assert "a0_mask" in told[0]


def test_names_are_compared_as_they_look(tmp_path: Path) -> None:
    put(tmp_path / "images" / "u\u0308ber.png", disc())  # as macOS stores it
    put(tmp_path / "masks" / "\u00fcber.png", disc())
    assert names(tmp_path) == ["\u00fcber"]


@pytest.mark.parametrize(("size", "words"), [((40, 40), ["EXIF orientation"]), ((30, 40), [])])
@pytest.mark.parametrize("turned", ["images", "masks"])
def test_a_mask_that_may_be_turned_against_its_image_is_named(
    tmp_path: Path, size: tuple[int, int], words: list[str], turned: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        array = np.zeros(size if part == turned else size[::-1], np.uint8)  # upright, both have one size
        array[:9, :9] = 255
        Image.fromarray(array).save(tmp_path / part / "a.png", exif=exif if part == turned else None)
    mask = cases_of("pairs", tmp_path)[0].mask()
    assert mask is not None
    assert len(mask.notes) == len(words)
    assert all(word in note and f"{turned}/a.png" in note for word, note in zip(words, mask.notes, strict=True))


def test_unmatched_images_and_masks_are_reported(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "images" / "lonely.png", disc())
    put(tmp_path / "masks" / "widow.png", disc())
    told: list[str] = []
    assert names(tmp_path, told) == ["a0", "a1", "a2"]
    assert told[0].startswith("1 image without a mask, left out: lonely")
    assert told[1].startswith("1 mask without an image, left out: widow")
    assert len(told) == 2


def test_instances_without_an_image_are_reported(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    for name in ("a0", "a1", "a2", "stray"):
        put(tmp_path / "instances" / f"{name}.png", disc().astype(np.uint16))
    told: list[str] = []
    names(tmp_path, told)
    assert any("stray" in line for line in told)


def test_other_files_and_hidden_ones_are_no_images(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "images" / "notes.txt").write_text("x")
    (tmp_path / "images" / ".a0.png").write_bytes(b"x")
    assert names(tmp_path) == ["a0", "a1", "a2"]


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder images"):
        cases_of("pairs", tmp_path, silent)


def test_folder_without_truth(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", disc())
    with pytest.raises(DataError, match="neither masks nor instances"):
        cases_of("pairs", tmp_path, silent)


def test_empty_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    put(tmp_path / "masks" / "a.png", disc())
    with pytest.raises(DataError, match="has no images"):
        cases_of("pairs", tmp_path, silent)


def test_nothing_matches(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", disc())
    put(tmp_path / "masks" / "b.png", disc())
    with pytest.raises(DataError, match="no image"):
        cases_of("pairs", tmp_path, lambda line: None)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "images" / "a1.bmp", disc())
    with pytest.raises(DataError, match=r"a1\.bmp|a1\.png"):
        cases_of("pairs", tmp_path, silent)


def test_missing_instances_are_named(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "instances" / "a0.png", disc())
    with pytest.raises(DataError, match="a1"):
        cases_of("pairs", tmp_path, silent)


def test_truth_of_instances_alone(tmp_path: Path) -> None:
    ids = np.array([[0, 300], [7, 0]], np.uint16)
    labels, instances = PairCase("a", tmp_path, None, put(tmp_path / "a.png", ids)).truth(TWO)
    assert labels.tolist() == [[0, 1], [1, 0]]
    assert instances is not None
    assert instances.tolist() == [[0, 2], [1, 0]]  # renumbered without gaps


def test_a_set_of_instances_alone_says_so(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path / "images" / f"{name}.png", disc())
        put(tmp_path / "instances" / f"{name}.png", disc().astype(np.uint16))
    assert read_data_set("pairs", tmp_path, silent).instances_only
    put(tmp_path / "masks" / "a.png", disc())
    put(tmp_path / "masks" / "b.png", disc())
    assert not read_data_set("pairs", tmp_path, silent).instances_only


def test_a_folder_named_like_an_image_is_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "images" / "a3.png").mkdir()
    with pytest.raises(DataError, match=r"a3\.png is a folder"):
        names(tmp_path)
