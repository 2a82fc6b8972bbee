"""Series with something wrong: refused with the reason, or permitted with a note, and never answered in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_runtime.formats import SourceOptions
from seg_runtime.formats.dicom.planes import right_angled
from seg_runtime.formats.dicom.study import find_stacks

from tests.runtime.formats.dicom.conftest import SegRun
from tests.support.commands import error_of, ok
from tests.support.dicom import AXIAL, ENHANCED_CT, SC, UID_ROOT, dataset, field, placed, save, write_series
from tests.support.dicom_readers import by_dcmqi, by_highdicom, conforms
from tests.support.models import Made

SIX = [(0, 0, 5 * k) for k in range(6)]
MISSING, IRREGULAR = SourceOptions(allow_missing=True), SourceOptions(allow_irregular=True)
TILT = np.deg2rad(17.3)
TILTED = (1.0, 0.0, 0.0, 0.0, float(np.cos(TILT)), float(np.sin(TILT)))


def lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(("error: ", "note: "))]


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:600])


def cut_in_the_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without_rows(path: Path) -> None:
    """One byte of the tag of Rows (0028,0010) is another."""
    data = path.read_bytes()
    assert data.count(b"\x28\x00\x10\x00US") == 1
    path.write_bytes(data.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x16\x00US"))


def without_position(path: Path) -> None:
    data = path.read_bytes()
    assert data.count(b"\x20\x00\x32\x00DS") == 1
    path.write_bytes(data.replace(b"\x20\x00\x32\x00DS", b"\x20\x00\x35\x00DS"))


def of_another_patient(path: Path) -> None:
    save(placed(field(40, 56), (0, 0, 15), number=4, PatientID="OTHER99"), path)


def of_another_study(path: Path) -> None:
    save(placed(field(40, 56), (0, 0, 15), number=4, StudyInstanceUID=f"{UID_ROOT}.77"), path)


def with_the_uid_of_another(path: Path) -> None:
    save(placed(field(40, 56), (0, 0, 15), number=1), path)


def missing(path: Path) -> None:
    path.unlink()


FAULTS = [
    cut_in_the_header, cut_in_the_pixels, without_rows, without_position, of_another_patient, of_another_study,
    with_the_uid_of_another, missing,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["im03.dcm", "aa.dcm"])  # also as the first file, which once decided on the patient
def test_a_fault_in_one_slice_is_a_fault_of_its_series(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, fault: Any, name: str
) -> None:
    study = tmp_path / "study"
    write_series(study, SIX)
    (study / "im03.dcm").rename(study / name)
    fault(study / name)
    refused = seg_run(ct_model, study)
    assert refused.exit_code == 1
    assert not (tmp_path / "out").exists()
    (line,) = lines(refused.output)
    assert fault is missing or fault is with_the_uid_of_another or name in line
    if fault is not cut_in_the_pixels:  # which is seen only when it is read, and then names the file
        assert "pass --allow-missing" in line
    allowed = ok(seg_run(ct_model, study, "--allow-missing"))
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    notes = record["dicom"]["notes"]
    if fault is with_the_uid_of_another:  # which of the two is right, nobody knows
        assert (len(record["pages"]), "cannot be used and are missing" in notes[0]) == (4, True)
    else:
        assert (len(record["pages"]), notes[-1]) == (5, "1 slice is missing between im02.dcm and im04.dcm")
    assert all(note in allowed.output for note in notes)
    assert "OTHER99" not in refused.output + allowed.output


def test_half_of_a_series_of_another_patient_is_refused_in_any_case(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    write_series(tmp_path / "study", SIX[:3])
    for k, place in enumerate(SIX[3:], 10):
        save(placed(field(40, 56), place, number=k, PatientID="OTHER99"), tmp_path / "study" / f"im{k}.dcm")
    for words in ((), ("--allow-missing",)):
        assert "has images of 2 patients or studies" in error_of(seg_run(ct_model, tmp_path / "study", *words))


def test_a_file_of_unknown_series_concerns_the_series_of_its_folder_only(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_series(tmp_path / f"s{number // 3}", SIX[:3], series=number)
        for path in (tmp_path / f"s{number // 3}").glob("im*.dcm"):
            path.rename(path.with_name(f"{number}_{path.name}"))
    broken = tmp_path / "s0" / "1_im00.dcm"
    broken.write_bytes(broken.read_bytes()[:300])
    files = sorted(tmp_path.rglob("*.dcm"))
    stacks, failed = find_stacks(files)
    assert [stack.files[0].name for stack in stacks] == ["3_im00.dcm"]
    assert [("1_im00.dcm" in str(error)) for _, error in failed] == [True, True]
    alone = tmp_path / "alone" / "x.dcm"
    alone.parent.mkdir()
    alone.write_bytes(broken.read_bytes())
    stacks, failed = find_stacks([alone])
    assert (stacks, [path for path, _ in failed]) == ([], [alone])


@pytest.mark.parametrize(
    ("places", "sides", "found"),
    [
        ([(0, 0, z) for z in (0, 5, 10, 15, 27, 32)], AXIAL, "the distances between its slices differ (5 to 12 mm)"),
        ([(0, 0, 5 * k) for k in range(6)], TILTED, "with a tilted gantry"),
        ([(0, 2 * k, 5 * k) for k in range(6)], AXIAL, "shifted against each other"),
    ],
)
def test_slices_off_a_regular_grid(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, places: Any, sides: Any, found: str
) -> None:
    write_series(tmp_path / "study", places, orientation=sides)
    for words in ((), ("--allow-missing",)):
        line = error_of(seg_run(ct_model, tmp_path / "study", *words))
        assert found in line
        assert "pass --allow-irregular" in line
    done = ok(seg_run(ct_model, tmp_path / "study", "--allow-irregular"))
    (note,) = json.loads((tmp_path / "out" / "study.json").read_text())["dicom"]["notes"]
    assert found in note
    assert note in done.output
    assert "misplace" in note
    target = tmp_path / "out" / "study_seg.dcm"
    import pydicom

    assert note in pydicom.dcmread(target).SegmentSequence[0].SegmentDescription
    conforms(target)


def turned(angle: float, digits: int) -> tuple[float, ...]:
    sides = np.array([np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0])
    return tuple(sides.round(digits).tolist())


@pytest.mark.parametrize(
    ("sides", "told"),
    [
        ((turned(0.3, 8), turned(0.3 + 1e-7, 8)), False),
        ((turned(0.3, 8), turned(0.3, 6)), False),
        ((turned(0.3, 8), turned(0.3, 3)), False),
        ((turned(0.3, 8), turned(0.3015, 8)), True),
    ],
)
@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_directions_that_differ_by_rounding_make_one_seg_at_the_right_place(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, sides: Any, told: bool, form: str
) -> None:
    paths = [
        save(placed(field(40, 56, k), (3, -7, 5 * k), sides[k % 2], number=k + 1), tmp_path / "study" / f"{k}.dcm")
        for k in range(6)
    ]
    done = ok(seg_run(ct_model, tmp_path / "study", "--dicom-seg", form))
    assert ("the directions of its slices differ" in done.output) == told
    target = tmp_path / "out" / "study_seg.dcm"
    labels = by_highdicom(target, paths)
    counts = [page["classes"] for page in json.loads((tmp_path / "out" / "study.json").read_text())["pages"]]
    assert [[c["pixels"] for c in page] for page in counts] == [
        np.bincount(p.ravel(), minlength=4).tolist() for p in labels
    ]
    exact = right_angled([np.array(sides[0])])  # where the pixels of exact slices are, in the volume of another reader
    for number, (volume, affine) in by_dcmqi(target, tmp_path / "nrrd").items():
        k, row, column = np.argwhere(labels == number if form == "binary" else labels > 0).T
        mm = np.array([3, -7, 0]) + np.outer(column, exact[:3]) + np.outer(row, exact[3:]) + np.outer(5 * k, [0, 0, 1])
        index = (mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        assert np.abs(index - index.round()).max() < 0.1
        assert (volume[tuple(index.round().astype(int).T)] > 0).all()
    conforms(target, labelmap=form == "labelmap")


@pytest.mark.parametrize("word", ["TemporalPositionIdentifier", "AcquisitionNumber", "EchoNumbers", "DiffusionBValue"])
def test_phases_are_told_apart_and_one_that_lacks_a_slice_is_named(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, word: str
) -> None:
    import pydicom

    for k in range(12):
        if k != 8:
            it = placed(field(40, 56, k), SIX[k % 6], number=k + 1, **{word: 1 + k // 6})
            save(it, tmp_path / "study" / f"{k:02}.dcm")
    refused = seg_run(ct_model, tmp_path / "study")
    assert refused.exit_code == 1
    assert (
        f"({word} {'2.0' if word == 'DiffusionBValue' else 2}) is incomplete: 1 slice is missing between 07.dcm and 09.dcm"
        in refused.output
    )
    assert (tmp_path / "out" / "study_series1_seg.dcm").exists()
    ok(seg_run(ct_model, tmp_path / "study", "--allow-missing"))
    segs = [pydicom.dcmread(tmp_path / "out" / f"study_series{n}_seg.dcm") for n in (1, 2)]
    assert [len(s.ReferencedSeriesSequence[0].ReferencedInstanceSequence) for s in segs] == [6, 5]
    assert [s.InstanceNumber for s in segs] == [1, 2]
    assert len({s.SeriesInstanceUID for s in segs}) == 1
    assert len({s.SOPInstanceUID for s in segs}) == 2


def test_images_at_one_position_that_nothing_tells_apart(tmp_path: Path) -> None:
    paths = write_series(tmp_path, [*SIX, *SIX], ContentTime=None)
    stacks, failed = find_stacks(paths)
    assert not failed
    assert [(len(stack.images), "by InstanceNumber" in stack.phase) for stack in stacks] == [(6, True)] * 2
    assert all("told apart by their numbers only" in stack.notes[1] for stack in stacks)
    stacks, failed = find_stacks(paths[:-1])  # the numbers of the second phase no longer say which slice is which
    assert (stacks, len(failed)) == ([], 1)
    assert "has several images at some positions" in str(failed[0][1])
    assert len(find_stacks(paths[:-1], IRREGULAR)[0]) == 2


DOSE, PLAN, MAP = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("481.2", "481.5", "30"))


def test_doses_and_other_objects_beside_a_series_are_passed_over(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    write_series(tmp_path / "study", SIX)
    dose = placed(field(40, 56), (0, 0, 5), number=20, series=2, SOPClassUID=DOSE, Modality="RTDOSE")
    dose.file_meta.MediaStorageSOPClassUID = DOSE
    save(dose, tmp_path / "study" / "dose.dcm")
    save(dataset(field(4, 4), PLAN, 30, 3, Rows=None, PixelData=None), tmp_path / "study" / "plan.dcm")
    ok(seg_run(ct_model, tmp_path / "study"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["study.json", "study_seg.dcm"]
    alone = seg_run(ct_model, tmp_path / "study" / "dose.dcm")
    assert "dose.dcm contains no image (RT Dose Storage)" in error_of(alone)


def test_a_localizer_is_passed_over_unless_it_is_named(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    write_series(tmp_path / "study", SIX)
    kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout = placed(field(40, 56), (0, 0, 5), (1, 0, 0, 0, 0, -1), number=20, ImageType=kind)
    save(scout, tmp_path / "study" / "scout.dcm")
    done = ok(seg_run(ct_model, tmp_path / "study"))
    assert "1 segmented" in done.output
    ok(seg_run(ct_model, tmp_path / "study" / "scout.dcm"))
    assert (tmp_path / "out" / "scout_seg.dcm").exists()


def test_an_image_without_pixels_is_a_failure_whatever_its_series(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    save(dataset(field(4, 4), SC, 1, 5, Rows=None), tmp_path / "study" / "odd.dcm")
    write_series(tmp_path / "study", SIX)
    line = error_of(seg_run(ct_model, tmp_path / "study"))
    assert "odd.dcm is truncated or damaged (Secondary Capture Image Storage without an image)" in line
    shutil.rmtree(tmp_path / "study")
    save(dataset(field(4, 4), SC, 1, 5, Rows=None), tmp_path / "study" / "odd.dcm")
    assert "odd.dcm is truncated" in error_of(seg_run(ct_model, tmp_path / "study"))


def test_results_keep_their_numbers_when_a_refused_series_is_permitted(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    write_series(tmp_path / "study" / "a", [SIX[0], *SIX[2:]])
    write_series(tmp_path / "study" / "b", SIX, series=2)
    assert seg_run(ct_model, tmp_path / "study", "--recursive").exit_code == 1
    before = (tmp_path / "out" / "study_series2_seg.dcm").read_bytes()
    done = ok(seg_run(ct_model, tmp_path / "study", "--recursive", "--allow-missing"))
    assert "1 segmented, 1 already done" in done.output
    assert (tmp_path / "out" / "study_series2_seg.dcm").read_bytes() == before


@pytest.mark.parametrize(("step", "regular"), [(0.0, True), (1e-7, True), (5.0, False)])
def test_frames_of_one_file_are_checked_like_slices(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, step: float, regular: bool
) -> None:
    import highdicom

    path = save(enhanced(step), tmp_path / "enhanced.dcm")
    done = seg_run(ct_model, path)
    if not regular:
        assert "is incomplete: 1 slice is missing between its frames" in error_of(done)
        ok(seg_run(ct_model, path, "--allow-missing"))
        return
    ok(done)
    seg = highdicom.seg.segread(tmp_path / "out" / "enhanced_seg.dcm")
    assert seg.number_of_segments == 3
    conforms(tmp_path / "out" / "enhanced_seg.dcm")


def enhanced(step: float) -> Any:
    """An Enhanced CT image of four frames; the directions of the last one, or its position, differ by a step."""
    from pydicom.dataset import Dataset

    it = placed(field(40, 56), (0, 0, 0), SOPClassUID=ENHANCED_CT, NumberOfFrames=4)
    it.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    it.PixelData = np.concatenate([field(40, 56, k) for k in range(4)]).tobytes()
    for word in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(it, word)
    frames = []
    for k in range(4):
        group, position, orientation, measures, content = (Dataset() for _ in range(5))
        position.ImagePositionPatient = [0, 0, 5 * k + (step if step > 1 and k == 3 else 0)]
        orientation.ImageOrientationPatient = [1, step if step < 1 and k == 3 else 0, 0, 0, 1, 0]
        measures.PixelSpacing, measures.SliceThickness = [1, 1], 5
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", k + 1, [1, k + 1]
        group.PlanePositionSequence, group.PlaneOrientationSequence = [position], [orientation]
        group.PixelMeasuresSequence, group.FrameContentSequence = [measures], [content]
        frames.append(group)
    it.PerFrameFunctionalGroupsSequence, it.SharedFunctionalGroupsSequence = frames, [Dataset()]
    return it
