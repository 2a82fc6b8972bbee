"""seg-run on DICOM: which files belong together, what their answers are called, and what nobody gets to read."""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.formats.dicom.study import find_stacks

from tests.runtime.formats.dicom.conftest import SegRun
from tests.support.commands import ok
from tests.support.dicom import AXIAL, ID, SC, SECRETS, UID_ROOT, dataset, field, placed, save, write_series
from tests.support.dicom_readers import by_dcmqi, by_highdicom, conforms, read_nrrd
from tests.support.images import noise_image
from tests.support.models import Made
from tests.support.places import REAL

FORMATS = REAL / "dicom_formats" / "images"
SERIES = REAL / "ct_dicom_series"
SPAN = [(0, 0, z) for z in (5, 0, 10)]
REFUSED = {
    "MR_truncated.dcm": "is truncated (8130 of 8192 bytes of pixel data)",
    "eCT_Supplemental.dcm": "mixes grey values with palette colours",
    "liver.dcm": "is a segmentation (Segmentation Storage)",
    "no_meta.dcm": "is truncated or damaged",
    "rtstruct.dcm": "contains no image (RT Structure Set Storage)",
}
PLAIN = {
    "color-pl.dcm": "its SOP class is not in the current standard",
    "emri_small.dcm": "its frames have no position in the patient",
}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_series_is_sorted_by_position_not_by_name_or_number(tmp_path: Path) -> None:
    paths = write_series(tmp_path, SPAN)
    (stack,), _ = find_stacks(paths)
    assert [p.name for p in stack.files] == ["im01.dcm", "im00.dcm", "im02.dcm"]
    flipped = write_series(tmp_path / "flipped", SPAN, orientation=(-1, 0, 0, 0, 1, 0))  # the normal points down
    (stack,), _ = find_stacks(flipped)
    assert [p.name for p in stack.files] == ["im02.dcm", "im00.dcm", "im01.dcm"]


def test_what_differs_in_grid_or_phase_lies_in_another_stack(tmp_path: Path) -> None:
    write_series(tmp_path, SPAN)
    save(placed(field(40, 56), (0, 0, 5), number=9, AcquisitionNumber="2"), tmp_path / "phase2.dcm")
    save(placed(field(40, 56), (0, 0, 5), AXIAL[3:] + AXIAL[:3], number=10), tmp_path / "turned.dcm")
    save(placed(field(41, 56), (0, 0, 15), number=11), tmp_path / "size.dcm")
    save(placed(field(40, 56), (0, 0, 15), spacing=(2, 1), number=12), tmp_path / "spacing.dcm")
    save(placed(field(40, 56), (0, 0, 15), number=13, series=2), tmp_path / "zz_series.dcm")
    stacks, failed = find_stacks(sorted(tmp_path.glob("*.dcm")))
    assert not failed
    assert [len(s.files) for s in stacks] == [3, 1, 1, 1, 1, 1]


def test_rounding_does_not_tear_a_series_apart(tmp_path: Path) -> None:
    for k in range(6):
        tilt = 0.12345 + (1e-7 if k % 2 else -1e-7)
        sides = (np.sqrt(1 - tilt**2), tilt, 0, -tilt, np.sqrt(1 - tilt**2), 0)
        save(placed(field(40, 56), (0, 0, 5 * k), sides, number=k), tmp_path / f"{k}.dcm")
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))
    assert len(stack.files) == 6


def test_a_number_of_frames_from_a_file_bounds_no_loop(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    write_series(tmp_path / "study", SPAN)
    where = {"number": 9, "series": 2, "NumberOfFrames": 2147483647}
    save(
        placed(field(40, 56), (0, 0, 5), **where), tmp_path / "study" / "claim.dcm"
    )  # hangs where the claim is believed
    done = seg_run(ct_model, tmp_path / "study")
    assert done.exit_code == 1
    assert "claim.dcm has 4810363369280 px; expected at most" in done.output
    assert any(name.endswith("_seg.dcm") for name in names(tmp_path / "out"))


def test_nobody_gets_the_answer_of_another_patient(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    import pydicom

    write_series(tmp_path / "study", SPAN)
    save(placed(field(40, 56), (0, 0, 20), number=9, PatientID="OTHER99"), tmp_path / "study" / "zz.dcm")
    save(placed(field(40, 56), (0, 0, -5), number=8, PatientID="OTHER99"), tmp_path / "study" / "aa.dcm")
    done = seg_run(ct_model, tmp_path / "study")
    assert done.exit_code == 1
    assert "has images of 2 patients or studies" in done.output
    assert "aa.dcm, zz.dcm" in done.output.replace(str(tmp_path / "study") + "/", "")
    assert not (tmp_path / "out").exists()
    done = ok(seg_run(ct_model, tmp_path / "study", "--allow-missing"))
    assert "study: aa.dcm, zz.dcm of another patient or study were left out" in done.output
    assert not any(secret in done.output for secret in (*SECRETS, "OTHER99"))
    seg = pydicom.dcmread(tmp_path / "out" / "study_seg.dcm")
    assert (seg.PatientID, len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence)) == (ID, 3)


def test_other_images_under_one_uid_are_told_and_copies_are_not(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    paths = write_series(tmp_path / "study", SPAN)
    shutil.copy(paths[0], tmp_path / "study" / "im00_copy.dcm")
    ok(seg_run(ct_model, tmp_path / "study"))
    write_series(tmp_path / "twins", SPAN, SOPInstanceUID=f"{UID_ROOT}.3.1.1")
    done = seg_run(ct_model, tmp_path / "twins")
    told = [line for line in done.output.splitlines() if "has the same SOP Instance UID as another image" in line]
    assert (done.exit_code, len(told)) == (1, 3), done.output
    assert not any(secret in done.output for secret in SECRETS)


@pytest.mark.parametrize("form", ["binary", "labelmap"])
def test_a_study_gets_one_seg_per_series_named_after_its_folder(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, form: str
) -> None:
    study = tmp_path / "study"
    first = write_series(study, SPAN)
    second = write_series(study / "more", [(0, 0, 1), (0, 0, 2)], series=2)
    (study / "notes.txt").write_text("no image")
    Image.fromarray(noise_image(20, 20, 1)[..., 0]).save(study / "photo.png")
    ok(seg_run(ct_model, study, "--recursive", "--dicom-seg", form, "--overlay"))
    out = tmp_path / "out"
    assert names(out) == ["photo.json", "photo_mask.png", "photo_overlay.png"] + [
        f"study_series{n}{end}" for n in (1, 2) for end in (".json", "_overlay.tif", "_seg.dcm")
    ]
    for number, files in ((1, [first[1], first[0], first[2]]), (2, second)):
        target = out / f"study_series{number}_seg.dcm"
        labels = by_highdicom(target, files)
        record = json.loads((out / f"study_series{number}.json").read_text())
        assert record["outputs"][f"seg_{form}"] == target.name
        assert [p["input"]["name"] for p in record["pages"]] == [f.name for f in files]
        for page, plane in zip(record["pages"], labels, strict=True):
            assert [c["pixels"] for c in page["classes"]] == np.bincount(plane.ravel(), minlength=4).tolist()
    with Image.open(out / "study_series1_overlay.tif") as overlay:
        assert overlay.n_frames == 3  # type: ignore[attr-defined]
    for number in (1, 2):
        conforms(out / f"study_series{number}_seg.dcm", labelmap=form == "labelmap")


def test_the_labels_are_those_of_each_slice_alone(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    from seg_runtime import Segmenter

    paths = write_series(tmp_path / "study", SPAN)
    ok(seg_run(ct_model, tmp_path / "study"))
    labels = by_highdicom(tmp_path / "out" / "study_seg.dcm", paths)
    with Segmenter(ct_model.path, provider="cpu") as segmenter:
        for path, plane in zip(paths, labels, strict=True):
            np.testing.assert_array_equal(segmenter(path).labels, plane)  # Segmenter reads DICOM itself


def test_a_file_by_name_is_answered_alone_and_a_result_never_again(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    paths = write_series(tmp_path / "out", SPAN)  # results beside the images
    ok(seg_run(ct_model, *paths[:2]))
    assert {"im00_seg.dcm", "im01_seg.dcm"} < set(names(tmp_path / "out"))
    before = (tmp_path / "out" / "im00_seg.dcm").read_bytes()
    again = seg_run(ct_model, *sorted((tmp_path / "out").glob("im0*.dcm")))
    assert (again.exit_code, "1 segmented, 2 already done" in again.output) == (0, True), again.output
    ok(seg_run(ct_model, *paths[:2], "--overwrite"))
    assert (tmp_path / "out" / "im00_seg.dcm").read_bytes() == before  # a retry makes the same object
    assert seg_run(ct_model, tmp_path / "out").exit_code == 0  # the folder, with segmentations in it
    assert "out_seg.dcm" in names(tmp_path / "out")


def test_the_other_form_replaces_the_first(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    import pydicom

    paths = write_series(tmp_path / "study", SPAN)
    for form in ("binary", "labelmap"):
        ok(seg_run(ct_model, tmp_path / "study", "--dicom-seg", form))
        assert pydicom.dcmread(tmp_path / "out" / "study_seg.dcm").SegmentationType == form.upper()
        assert list(json.loads((tmp_path / "out" / "study.json").read_text())["outputs"]) == [f"seg_{form}"]
    shutil.copy(paths[0], tmp_path / "study" / "copy.dcm")  # the same image again changes nothing
    assert "1 already done" in seg_run(ct_model, tmp_path / "study", "--dicom-seg", "labelmap").output
    (tmp_path / "study" / "copy.dcm").unlink()
    paths[0].unlink()  # another study under the same name
    assert "is the record of another image of the same name" in seg_run(ct_model, tmp_path / "study").output


def test_multi_frame_images_with_and_without_positions(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    it = dataset(field(20, 30), SC, NumberOfFrames=3, PixelData=field(60, 30).tobytes())
    save(it, tmp_path / "loop.dcm")
    done = seg_run(ct_model, tmp_path / "loop.dcm")
    assert "note: " in done.output
    assert "gets a plain mask instead of a DICOM SEG, because its frames have no position in the patient" in done.output
    with Image.open(tmp_path / "out" / "loop_mask.tif") as mask:
        assert mask.n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no real images at {FORMATS}")
def test_an_enhanced_object_is_answered_frame_by_frame(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    import highdicom
    import pydicom

    it = pydicom.dcmread(FORMATS / "eCT_Supplemental.dcm")  # rows run to the left, frames from below
    for word in [w for w in it.dir() if "PaletteColor" in w]:
        delattr(it, word)  # what is left is grey
    it.save_as(tmp_path / "enhanced.dcm")
    ok(seg_run(ct_model, tmp_path / "enhanced.dcm"))
    target = tmp_path / "out" / "enhanced_seg.dcm"
    labels = highdicom.seg.segread(target).get_pixels_by_source_frame(
        it.SOPInstanceUID, [1, 2], combine_segments=True, ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    record = json.loads((tmp_path / "out" / "enhanced.json").read_text())
    for page, plane in zip(record["pages"], labels, strict=True):
        assert [c["pixels"] for c in page["classes"]] == np.bincount(plane.ravel(), minlength=4).tolist()
    conforms(target)


@pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no real images at {FORMATS}")
def test_every_real_file_ends_in_a_mask_or_in_its_reason(tmp_path: Path, any_model: Made, seg_run: SegRun) -> None:
    files = sorted(FORMATS.glob("*.dcm"))
    done = [seg_run(any_model, file) for file in files]
    assert (sum(run.exit_code for run in done), len(files)) == (len(REFUSED), 23)
    output = "".join(run.output for run in done)
    lines = re.sub(r"(note: |; )[^;\n]* is grey, while the model [^;\n]*", "", output).splitlines()
    written: list[Path] = []
    for path in files:
        told = [line for line in lines if path.name in line]
        if path.name in REFUSED:
            assert [line.startswith("error: ") and REFUSED[path.name] in line for line in told] == [True], told
        elif path.name in PLAIN:
            assert [PLAIN[path.name] in line for line in told] == [True], told
            assert (tmp_path / "out" / f"{path.stem}.json").exists()
            assert list((tmp_path / "out").glob(f"{path.stem}_mask.*"))
        else:
            assert not told
            target = tmp_path / "out" / f"{path.stem}_seg.dcm"
            written.append(target)
            labels = by_highdicom(target, [path])[0]
            counts = json.loads((tmp_path / "out" / f"{path.stem}.json").read_text())["classes"]
            assert [c["pixels"] for c in counts] == np.bincount(labels.ravel(), minlength=3).tolist()
    for target in written:
        conforms(target)


@pytest.mark.skipif(not SERIES.is_dir(), reason=f"no real images at {SERIES}")
def test_a_real_series_gets_its_mask_under_its_own_identity(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    import pydicom
    from seg_runtime import Segmenter

    ok(seg_run(ct_model, SERIES / "images", "--dicom-seg", "binary"))
    target = tmp_path / "out" / "images_seg.dcm"
    files = [SERIES / "images" / f"0{n}.dcm" for n in (3, 2, 1)]
    labels = by_highdicom(target, files)
    seg = pydicom.dcmread(target)
    with Segmenter(ct_model.path, provider="cpu") as segmenter:
        for path, plane in zip(files, labels, strict=True):
            np.testing.assert_array_equal(plane, segmenter(path).labels)
            source = pydicom.dcmread(path, stop_before_pixels=True)
            for word in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
                assert (seg.get(word) or "") == (source.get(word) or ""), word
    assert labels.any()
    assert seg.SegmentationType == "BINARY"
    conforms(target)


@pytest.mark.skipif(not SERIES.is_dir(), reason=f"no real images at {SERIES}")
def test_our_readers_read_the_segmentations_of_other_software(tmp_path: Path) -> None:
    files = [SERIES / "images" / f"0{n}.dcm" for n in (3, 2, 1)]  # by rising height
    masks = np.stack([np.asarray(Image.open(SERIES / "masks" / f"{f.stem}.png")) for f in files])
    liver = by_highdicom(SERIES / "liver_SEG.dcm", files)
    np.testing.assert_array_equal(liver == 1, (masks == 1) | ((masks == 3) & (liver == 1)))  # the heart lies over it
    volume, where = by_dcmqi(SERIES / "liver_SEG.dcm", tmp_path)[1]
    theirs, there = read_nrrd(SERIES / "liver_seg.nrrd")
    for values, affine in ((volume, where), (theirs, there)):
        np.testing.assert_allclose(affine[:3, 3], [-235.2, -226.8, -128.69], atol=1e-3)
        np.testing.assert_array_equal(values.transpose(2, 1, 0) > 0, liver == 1)


def without_uids(path: Path) -> str:
    """A record, without the UIDs of its SEG, which lead to the SEG in an archive."""
    record = json.loads(path.read_text())
    record["dicom"].pop("seg", None)
    return json.dumps(record)


def test_nothing_of_a_person_gets_out(
    tmp_path: Path, ct_model: Made, caplog: pytest.LogCaptureFixture, seg_run: SegRun
) -> None:
    study = tmp_path / "study"
    write_series(study, SPAN, StudyDate="4711", PatientBirthDate="Zwetschge", StudyTime="ACC0815SECRET")
    write_series(study / "b", SPAN, series=2, SeriesDescription="../../4711", StudyID="../Quirin", PatientName="Quirin")
    save(dataset(field(9, 9), SC, 11, 3, PixelData=b"4711"), study / "broken.dcm")
    save(dataset(field(9, 9), SC, 12, 4, PhotometricInterpretation="QUIRIN"), study / "colour.dcm")
    save(dataset(field(9, 9), "1.2.4711.4711", 13, 5), study / "kind.dcm")
    slope = save(dataset(field(9, 9), SC, 14, 6, RescaleSlope="1.2345"), study / "slope.dcm")
    slope.write_bytes(slope.read_bytes().replace(b"1.2345", b"Quirin"))
    save(dataset(field(9, 9), SC, 7, 7, SOPInstanceUID="4711.Quirin", Modality="QUIRIN^"), study / "uid.dcm")
    caplog.clear()
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        done = seg_run(ct_model, study, "--recursive", "--overlay")
    assert "3 failed" in done.output, done.output
    told = [done.output, caplog.text, *(str(w.message) for w in warned)]
    told += [without_uids(p) for p in (tmp_path / "out").rglob("*.json")]
    told += [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")]
    for secret in SECRETS:
        assert not [t for t in told if secret.lower() in t.lower()], secret


def test_a_real_process_prints_nothing_of_a_person(tmp_path: Path, ct_model: Made) -> None:
    study = tmp_path / "study"
    write_series(study, SPAN, PatientName="Quirin", StudyDate="4711")  # highdicom warns of such a name, and quotes it
    save(dataset(field(9, 9), SC, 9, 2, PixelData=b"4711", PatientName="Quirin"), study / "broken.dcm")
    code = "from seg_runtime.cli.run import main; main()"
    words = [sys.executable, "-W", "always", "-c", code, study, "--model", ct_model.path, "--out", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "1 segmented, 1 failed" in done.stdout, done.stderr
    for secret in SECRETS:
        assert secret.lower() not in (done.stdout + done.stderr).lower()


def test_png_work_never_imports_what_dicom_needs(tmp_path: Path, model_file: Path) -> None:
    Image.fromarray(noise_image(20, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.bin").write_bytes(bytes(200))
    code = (
        "import json, sys\nfrom seg_runtime.cli.run import main\n"
        "try:\n    main(['--model', sys.argv[1], '--out', sys.argv[2] + '/out', sys.argv[2]])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] in ('pydicom', 'highdicom', 'openjpeg')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model_file, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_a_pipe_in_a_study_does_not_stop_the_run(tmp_path: Path, ct_model: Made, seg_run: SegRun) -> None:
    import os

    write_series(tmp_path / "study", SPAN)
    os.mkfifo(tmp_path / "study" / "pipe")
    ok(seg_run(ct_model, tmp_path / "study"))


@pytest.mark.parametrize("share", [0.08, 0.1, 0.12, 0.2, 0.5])
def test_a_slice_that_was_cut_off_is_told_and_not_passed_over(
    tmp_path: Path, ct_model: Made, seg_run: SegRun, share: float
) -> None:
    files = write_series(tmp_path / "study", SPAN, (16, 24))
    data = files[1].read_bytes()
    files[1].write_bytes(data[: int(share * len(data))])
    told = seg_run(ct_model, tmp_path / "study")
    [line] = [line for line in told.output.splitlines() if line.startswith("error: ")]
    assert told.exit_code == 1
    assert str(files[1]) in line
    assert "is truncated or damaged" in line or "has no pixel data" in line


def test_reports_beside_the_images_are_passed_over_and_a_folder_of_them_is_told(
    tmp_path: Path, ct_model: Made, seg_run: SegRun
) -> None:
    report = dataset(field(4, 4), "1.2.840.10008.5.1.4.1.1.88.11", Rows=None, PixelData=None)
    save(report, tmp_path / "study" / "report.dcm")
    told = seg_run(ct_model, tmp_path / "study")
    assert (told.exit_code, "has no images" in told.output) == (1, True)
    write_series(tmp_path / "study", SPAN)
    ok(seg_run(ct_model, tmp_path / "study"))
    shutil.rmtree(tmp_path / "out")
    assert "contains no image (Basic Text SR Storage)" in seg_run(ct_model, tmp_path / "study" / "report.dcm").output


def test_each_frame_of_a_series_is_measured(seg_run: SegRun, ct_model: Made, tmp_path: Path) -> None:
    write_series(tmp_path / "study", SPAN, PixelSpacing=[0.25, 0.5])
    ok(seg_run(ct_model, tmp_path / "study", "--measure"))
    with (tmp_path / "out" / "study_objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "out" / "summary.csv").open(newline="") as file:
        pages = list(csv.DictReader(file))
    assert [page["page"] for page in pages] == ["1", "2", "3"]
    for page in pages:
        own = [row for row in rows if row["page"] == page["page"]]
        assert len(own) == int(page["objects"]) > 0
        assert float(page["area_um2"]) == pytest.approx(sum(int(row["area"]) for row in own) * 250 * 500)
    assert all(0.25 < float(row["mean_probability"]) <= 1 for row in rows)
    assert len({row["intensity_max-0"] for row in rows}) > 10
