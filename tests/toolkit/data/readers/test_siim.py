from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from seg_runtime.support.errors import DataError
from seg_toolkit.data import ClassValues
from seg_toolkit.data.readers.siim import decode_runs

from samples.generators.pneumothorax import radiograph, runs
from tests.support.folders import cases_of

CLASSES = ClassValues.parse("background=0,pneumothorax=1")


def picture(rows: str) -> list[list[int]]:
    return [[int(c) for c in row] for row in rows.split()]


@pytest.mark.parametrize(
    ("text", "shape", "mask"),
    [
        ("0 1", (2, 3), "100 000"),
        ("1 1", (2, 3), "000 100"),  # down the column first
        ("2 1", (2, 3), "010 000"),
        ("1 2", (2, 3), "010 100"),  # a run goes on at the top of the next column
        ("1 1 2 1", (2, 3), "001 100"),  # the second gap counts from the end of the first run: px 4
        ("0 6", (2, 3), "111 111"),
        ("0 1 0 1", (2, 3), "100 100"),  # runs that touch
    ],
)
def test_runs_by_hand(text: str, shape: tuple[int, int], mask: str) -> None:
    assert decode_runs(text, shape, "x").astype(int).tolist() == picture(mask)


@pytest.mark.parametrize("text", ["", "1", "1 2 3", "1 x", "-1 2", "1 0", "1.5 2", "1 99999999999999999999"])
def test_odd_runs_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="has the runs"):
        decode_runs(text, (2, 3), "x")


@pytest.mark.parametrize("text", ["0 7", "6 1", "3 2 1 1", "9000000000000000000 9000000000000000000"])
def test_runs_beyond_the_image_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="the image has 6 px"):
        decode_runs(text, (2, 3), "x")


def test_the_samples_write_what_is_read() -> None:
    mask = np.random.default_rng(0).random((9, 7)) < 0.4
    np.testing.assert_array_equal(decode_runs(runs(mask), (9, 7), "x"), mask)
    assert runs(np.zeros((2, 2), bool)) == "-1"


def save(root: Path, number: int, pixels: NDArray[np.uint8]) -> str:
    it = radiograph(pixels, number)
    folder = root / "dicom-images-train" / it.StudyInstanceUID / it.SeriesInstanceUID
    folder.mkdir(parents=True, exist_ok=True)
    it.save_as(folder / f"{it.SOPInstanceUID}.dcm", enforce_file_format=True)
    return str(it.SOPInstanceUID)


def table(root: Path, *rows: str, head: str = "ImageId, EncodedPixels") -> None:
    (root / "train-rle.csv").write_text("\n".join([head, *rows]) + "\n")


@pytest.fixture
def uids(tmp_path: Path) -> list[str]:
    return sorted(save(tmp_path, n, np.full((2, 3), 10 * n, np.uint8)) for n in range(3))


def test_several_rows_are_one_mask_and_minus_one_is_none(tmp_path: Path, uids: list[str]) -> None:
    table(tmp_path, f"{uids[0]}, 0 1", f"{uids[1]}, -1", f"{uids[0]}, 4 1")
    told: list[str] = []
    cases = cases_of("siim", tmp_path, told.append)
    assert [c.name for c in cases] == uids[:2]
    assert uids[2] in told[0]
    assert cases[0].read(CLASSES).labels.tolist() == picture("101 000")
    assert cases[1].read(CLASSES).labels.tolist() == picture("000 000")
    assert cases[1].read(CLASSES).image.shape == (2, 3, 1)
    assert set(cases[1].values()) == {0, 1}


def test_rows_without_an_image_are_told(tmp_path: Path, uids: list[str]) -> None:
    table(tmp_path, f"{uids[0]}, -1", "1.2.3, 0 1", head="ImageId,EncodedPixels")
    told: list[str] = []
    assert len(cases_of("siim", tmp_path, told.append)) == 1
    assert "1.2.3" in told[1]


@pytest.mark.parametrize(
    ("rows", "head", "wrong"),
    [
        (["1.2.3, 0 1"], "ImageId, EncodedPixels", "contains no image that"),
        (["{}, 0 1", "{}, -1"], "ImageId, EncodedPixels", "gives -1 and runs for"),
        (["{}"], "ImageId, EncodedPixels", "has the row"),
        (["{}, "], "ImageId, EncodedPixels", "has the row"),
        (["{}, 0 1"], "id, rle", "the columns id, rle"),
    ],
)
def test_odd_tables_are_refused(tmp_path: Path, uids: list[str], rows: list[str], head: str, wrong: str) -> None:
    table(tmp_path, *(row.format(uids[0]) for row in rows), head=head)
    with pytest.raises(DataError, match=wrong):
        cases_of("siim", tmp_path, lambda line: None)


def test_a_run_too_long_names_table_and_image(tmp_path: Path, uids: list[str]) -> None:
    table(tmp_path, f"{uids[0]}, 0 7")
    with pytest.raises(DataError, match=rf"train-rle\.csv, {uids[0]}"):
        cases_of("siim", tmp_path, lambda line: None)[0].read(CLASSES)


def test_images_or_table_alone_are_refused(tmp_path: Path, uids: list[str]) -> None:
    with pytest.raises(DataError, match=r"no train-rle\.csv"):
        cases_of("siim", tmp_path, print)
    (tmp_path / "empty").mkdir()
    table(tmp_path / "empty", "1.2.3, -1")
    with pytest.raises(DataError, match="no DICOM images"):
        cases_of("siim", tmp_path / "empty", print)


def test_an_image_twice_is_refused(tmp_path: Path, uids: list[str]) -> None:
    table(tmp_path, f"{uids[0]}, -1")
    original = next(tmp_path.rglob(f"{uids[0]}.dcm"))
    (tmp_path / original.name).write_bytes(original.read_bytes())
    with pytest.raises(DataError, match="have the same name"):
        cases_of("siim", tmp_path, print)
