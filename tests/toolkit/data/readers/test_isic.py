from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support.errors import DataError
from seg_toolkit.data import ClassValues

from tests.support.folders import cases_of
from tests.support.images import disc, put

IMAGES, MASKS = "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"


@pytest.fixture
def isic(tmp_path: Path) -> Path:
    for number in (0, 12):
        put(tmp_path / IMAGES / f"ISIC_{number:07}.jpg", np.full((40, 40, 3), 120, np.uint8))
        put(tmp_path / IMAGES / f"ISIC_{number:07}_superpixels.png", np.zeros((40, 40, 3), np.uint8))
        put(tmp_path / MASKS / f"ISIC_{number:07}_segmentation.png", disc())
    put(tmp_path / "Part2" / "ISIC_0000000_attribute_streaks.png", disc())
    (tmp_path / IMAGES / "ISIC-2017_Training_Data_metadata.csv").write_text("image_id,age_approximate,sex\n")
    return tmp_path


def silent(line: str) -> None:
    raise AssertionError(line)


def test_photographs_and_masks_meet_by_number(isic: Path) -> None:
    cases = cases_of("isic", isic, silent)
    assert [c.name for c in cases] == ["ISIC_0000000", "ISIC_0000012"]
    example = cases[0].read(ClassValues.parse("background=0,lesion=255"))
    np.testing.assert_array_equal(example.labels, disc() // 255)
    assert example.image.shape == (40, 40, 3)


def test_what_lacks_its_fellow_is_told(isic: Path) -> None:
    (isic / MASKS / "ISIC_0000012_segmentation.png").unlink()
    put(isic / MASKS / "ISIC_0000099_segmentation.png", disc())
    told: list[str] = []
    assert [c.name for c in cases_of("isic", isic, told.append)] == ["ISIC_0000000"]
    assert "ISIC_0000012" in told[0]
    assert "ISIC_0000099" in told[1]


@pytest.mark.parametrize(("gone", "lacks"), [(IMAGES, "no photographs"), (MASKS, "no masks")])
def test_half_of_the_set_is_refused(
    isic: Path, tmp_path_factory: pytest.TempPathFactory, gone: str, lacks: str
) -> None:
    (isic / gone).rename(tmp_path_factory.mktemp("else") / "where")
    with pytest.raises(DataError, match=lacks):
        cases_of("isic", isic, silent)


def test_parts_that_do_not_belong_together_are_refused(isic: Path) -> None:
    for file in (isic / MASKS).iterdir():
        file.rename(file.with_name(file.name.replace("ISIC_00", "ISIC_01")))
    with pytest.raises(DataError, match="the number of a mask"):
        cases_of("isic", isic, lambda line: None)


def test_a_number_twice_is_refused(isic: Path) -> None:
    put(isic / "copy" / "ISIC_0000012.jpg", disc())
    with pytest.raises(DataError, match="both ISIC_0000012"):
        cases_of("isic", isic, silent)
