from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.data.readers.pairs import PairCase

from tests.support.folders import TWO, cases_of, write_pairs
from tests.support.images import disc, put


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


def test_unmatched_images_and_masks_are_reported(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "images" / "lonely.png", disc())
    put(tmp_path / "masks" / "widow.png", disc())
    told: list[str] = []
    assert names(tmp_path, told) == ["a0", "a1", "a2"]
    assert len(told) == 2
    assert "lonely" in told[0]
    assert "images" in told[0]
    assert "widow" in told[1]
    assert "masks" in told[1]


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
