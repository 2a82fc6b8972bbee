from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.data import ClassValues
from seg_toolkit.data.readers import read_data_set

from tests.support.folders import cases_of
from tests.support.images import put

CLASSES = ClassValues.parse("background=0,cell=1")
IDS = np.zeros((8, 9), np.uint16)
IDS[1:3, 1:3], IDS[5:7, 4:8] = 300, 7


@pytest.fixture
def film(tmp_path: Path) -> Path:
    for sequence in ("01", "02"):
        for frame in range(3):
            put(tmp_path / sequence / f"t{frame:03}.tif", np.full((8, 9), 10 * frame, np.uint8))
            put(tmp_path / f"{sequence}_ST" / "SEG" / f"man_seg{frame:03}.tif", IDS)
        put(tmp_path / f"{sequence}_GT" / "TRA" / "man_track000.tif", IDS)
    put(tmp_path / "01_GT" / "SEG" / "man_seg000.tif", IDS)
    put(tmp_path / "01_GT" / "SEG" / "man_seg002.tif", IDS)
    return tmp_path


def test_frames_that_somebody_annotated_are_cases(film: Path) -> None:
    told: list[str] = []
    cases = cases_of("cell-tracking", film, told.append)
    assert [c.name for c in cases] == ["01_t000", "01_t002"]
    assert "02 has no segmentation" in told[0]
    example = cases[1].read(CLASSES)
    assert int(example.image.max()) == 20
    np.testing.assert_array_equal(example.labels, IDS > 0)
    assert example.instances is not None
    assert example.instances[1, 1] == 2  # ids without gaps, in their order
    assert example.instances[5, 4] == 1
    assert read_data_set("cell-tracking", film, print).instances_only


def test_silver_truth_on_demand(film: Path) -> None:
    assert len(cases_of("cell-tracking:truth=ST", film, print)) == 6


def test_another_truth_is_refused(film: Path) -> None:
    with pytest.raises(SegError, match="GT or ST"):
        cases_of("cell-tracking:truth=XX", film, print)


def test_long_films_have_four_digits(tmp_path: Path) -> None:
    put(tmp_path / "01" / "t1000.tif", IDS.astype(np.uint8))
    put(tmp_path / "01_GT" / "SEG" / "man_seg1000.tif", IDS)
    assert [c.name for c in cases_of("cell-tracking", tmp_path, print)] == ["01_t1000"]


def test_no_frame_annotated(film: Path) -> None:
    for file in (film / "01_GT" / "SEG").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="truth=ST"):
        cases_of("cell-tracking", film, lambda line: None)


def test_another_folder_and_a_volume_are_refused(film: Path) -> None:
    with pytest.raises(DataError, match="no sequence 01"):
        cases_of("cell-tracking", film / "01", print)
    put(film / "01_GT" / "SEG" / "man_seg_000_012.tif", IDS)
    with pytest.raises(DataError, match="slice of a volume"):
        cases_of("cell-tracking", film, print)
