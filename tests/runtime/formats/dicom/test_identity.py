"""Whose images they are, and which: what a SEG takes from its sources must be the same in all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from seg_runtime.formats import SourceOptions
from seg_runtime.formats.dicom.acquired import acquisition_of
from seg_runtime.formats.dicom.study import find_stacks

from tests.support.dicom import UID_ROOT, field, placed, save, write_series

FIVE = [(0, 0, 5 * k) for k in range(5)]
MISSING = SourceOptions(allow_missing=True)


def replaced(folder: Path, number: int, **more: Any) -> list[Path]:
    """A series of five slices, one of which has other elements."""
    paths = write_series(folder, FIVE)
    save(placed(field(40, 56), FIVE[number], number=number + 1, **more), paths[number])
    return paths


@pytest.mark.parametrize(
    "more",
    [
        {"PatientName": "Other^Person"}, {"PatientBirthDate": "19991231"}, {"PatientSex": "M"}, {"AccessionNumber": "ACC77"},
        {"StudyDate": "20200101"}, {"PatientID": ""},
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [0, 2])
def test_a_slice_of_another_person_or_visit(tmp_path: Path, more: dict[str, str], number: int) -> None:
    paths = replaced(tmp_path, number, **more)
    stacks, [(_, error)] = find_stacks(paths)
    assert not stacks
    assert "has images of 2 patients or studies" in str(error)
    assert not any(value and value in str(error) for value in more.values())
    ((stack,), failed) = find_stacks(paths, MISSING)
    assert (len(stack.images), failed) == (4, [])


def test_spaces_and_case_of_a_name_make_no_other_person(tmp_path: Path) -> None:
    paths = replaced(tmp_path, 2, PatientName="ZWETSCHGE^Quirin^^ ")
    assert len(find_stacks(paths)[0]) == 1


def test_one_slice_under_another_uid_than_its_file_says(tmp_path: Path) -> None:
    paths = write_series(tmp_path, FIVE)
    it = placed(field(40, 56), FIVE[2], number=3)
    it.SOPInstanceUID = f"{UID_ROOT}.3.1.33"
    save_as_it_is(it, paths[2])
    stacks, [(_, error)] = find_stacks(paths)
    assert not stacks
    assert "im02.dcm has two SOP Instance UIDs" in str(error)
    for k, place in enumerate(FIVE):  # as after a replacement of the UIDs that forgets the meta information
        it = placed(field(40, 56), place, number=k + 1)
        it.SOPInstanceUID = f"{UID_ROOT}.3.1.3{k}"
        save_as_it_is(it, paths[k])
    assert len(find_stacks(paths)[0]) == 1


def save_as_it_is(it: Any, path: Path) -> None:
    it.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)


def test_a_uid_that_is_none(tmp_path: Path) -> None:
    paths = replaced(tmp_path, 2, SOPInstanceUID='1.2.3#4"')
    stacks, [(_, error)] = find_stacks(paths)
    assert not stacks
    assert (
        "has no valid position, unlike the other images of its series (its SOPInstanceUID is not a valid UID)"
        in str(error)
    )


def test_a_uid_in_two_series_is_a_defect_of_both(tmp_path: Path) -> None:
    first = write_series(tmp_path / "a", FIVE)
    second = write_series(tmp_path / "b", FIVE, series=2)
    save(placed(field(40, 56, 9), FIVE[4], number=5, series=2, SOPInstanceUID=f"{UID_ROOT}.3.1.5"), second[4])
    stacks, failed = find_stacks([*first, *second])
    assert not stacks
    assert [path.parent.name for path, _ in failed] == ["a", "b"]
    assert all(f"{folder}/im04.dcm has the same SOP" in str(e) for folder, (_, e) in zip("ab", failed, strict=True))


def test_a_slice_whose_series_is_another_is_noted(tmp_path: Path) -> None:
    paths = replaced(tmp_path, 4, SeriesInstanceUID=f"{UID_ROOT}.2.99")
    (whole, single), failed = find_stacks(paths)
    assert not failed
    assert whole.notes == ("im04.dcm, of another series, continues its slices",)
    assert single.notes == ("its only image continues the slices of the series of im00.dcm",)
    more = write_series(tmp_path / "b", [(0, 0, 50)], series=3)  # elsewhere
    assert [stack.notes for stack in find_stacks([*paths[:4], *more])[0]] == [(), ()]


def test_slices_that_are_missing_in_a_regular_pattern(tmp_path: Path) -> None:
    paths = write_series(tmp_path, [(0, 0, 2 * k) for k in range(9)])  # of 2 mm thickness
    stacks, [(_, error)] = find_stacks(paths[::2])
    assert not stacks
    assert "4 slices are missing between im00.dcm and im02.dcm" in str(error)
    assert len(find_stacks(write_series(tmp_path / "gap", [(0, 0, 4 * k) for k in range(5)]))[0]) == 1  # a real gap


def test_two_slabs_of_one_series_are_two_results(tmp_path: Path) -> None:
    places = [(0, 0, 2 * k) for k in (*range(4), *range(40, 44))]
    paths = [
        save(placed(field(40, 56, k), place, number=k + 1, AcquisitionNumber=1 + k // 4), tmp_path / f"{k}.dcm")
        for k, place in enumerate(places)
    ]
    stacks, failed = find_stacks(paths)
    assert not failed
    assert [(len(s.images), s.phase) for s in stacks] == [(4, "AcquisitionNumber 1"), (4, "AcquisitionNumber 2")]


def test_a_text_in_place_of_a_number_is_not_shown(tmp_path: Path) -> None:
    paths = []
    for k, z in enumerate((*range(4), *range(40, 44))):
        it = placed(field(40, 56, k), (0, 0, 2 * z), number=k + 1, AcquisitionNumber=1 + k // 4)
        paths.append(save(it, tmp_path / f"{k}.dcm"))
        data = paths[-1].read_bytes()
        at = data.index(b"\x20\x00\x12\x00IS") + 8
        paths[-1].write_bytes(data[:at] + (b"Qu", b"Zw")[k // 4] + data[at + 2 :])
    stacks, failed = find_stacks(paths)
    shown = [*(str(stack.notes) + stack.phase for stack in stacks), *(str(error) for _, error in failed)]
    assert shown
    assert not any("Qu" in text or "Zw" in text for text in shown)


@pytest.mark.parametrize("dropped", [{}, {"RescaleSlope": None}, {"RescaleIntercept": None}])
def test_a_unit_needs_slope_and_intercept(dropped: dict[str, None]) -> None:
    it = placed(field(8, 8), (0, 0, 0), RescaleType="HU")
    for word in dropped:
        delattr(it, word)
    assert acquisition_of(it, "a.dcm").unit == ("" if dropped else "HU")


def test_the_reason_for_a_missing_position_is_the_real_one(tmp_path: Path) -> None:
    long = save(placed(field(8, 8), (0, 0, 0), (1.02, 0, 0, 0, 1.02, 0)), tmp_path / "long.dcm")
    flat = save(placed(field(8, 8), (0, 0, 0), spacing=(0, 1), number=2), tmp_path / "flat.dcm")
    stacks, failed = find_stacks([long, flat], apart=True)
    assert not failed
    assert {stack.files[0].name: stack.no_seg for stack in stacks} == {
        "long.dcm": "its rows and columns are not at right angles",
        "flat.dcm": "its positions are not valid numbers",
    }


def test_directions_of_one_length_are_one_direction(tmp_path: Path) -> None:
    paths = write_series(tmp_path, FIVE, orientation=(1.005, 0, 0, 0, 1.005, 0))
    ((stack,), failed) = find_stacks(paths)
    assert (stack.notes, failed) == ((), [])
