"""What the readers of a DICOM SEG find is what was written, on the grid of the source, whichever way that lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from seg_runtime import ClassInfo, Contract, Intensity
from seg_runtime.formats.dicom.study import find_stacks
from seg_runtime.model.answer import Code

from tests.support.contracts import TWO, changed, contract
from tests.support.dicom import AXIAL, SC, dataset, field, placed, save, seg_of
from tests.support.dicom_readers import by_dcmqi, by_highdicom, conforms

LIVER = ClassInfo(
    "liver", (220, 60, 60), Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver")
)
CLASSES = (
    ClassInfo("background", (0, 0, 0)),
    LIVER,
    ClassInfo("Größe", (0, 255, 0)),
    ClassInfo("never there", (0, 0, 255)),
)
CONTRACT = contract(252, classes=CLASSES, intensity=Intensity("window", width=400))
MODEL = "5e" * 32
FORMS = ("binary", "labelmap")
TILT = np.cos(0.5), np.sin(0.5)
PLANES = {
    "axial": AXIAL,
    "axial from above": (-1, 0, 0, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "rows and columns swapped": (0, 1, 0, 1, 0, 0),
    "upside down": (-1, 0, 0, 0, -1, 0),
    "oblique": (TILT[0], TILT[1], 0, -TILT[1] * TILT[0], TILT[0] * TILT[0], -TILT[1]),
}


def phantom(slices: int, height: int, width: int) -> NDArray[np.uint8]:
    """Labels that no flip, rotation, or swap of slices leaves the same; the last class is nowhere."""
    labels = np.zeros((slices, height, width), np.uint8)
    for k in range(slices):
        labels[k, 2 : 4 + k, 3:9] = 1
        labels[k, height - 5 - k : height - 4, 1 : 3 + 2 * k] = 2
        labels[k, k, width - 2] = 2
    return labels


def series(folder: Path, orientation: Any, spacing: Any = (0.7, 1.3), reverse: bool = False) -> list[Path]:
    """Four slices, 2.5 mm apart along the normal; file names run against the position where `reverse`."""
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    paths = []
    for k in range(4):
        number = 4 - k if reverse else k + 1
        it = placed(field(24, 32, k), np.array([-20.0, 35.5, 100.25]) + 2.5 * k * normal, orientation, spacing, number)
        paths.append(save(it, folder / f"s{number}.dcm"))
    return paths


def write(folder: Path, labels: NDArray[np.uint8], form: str, contract: Contract = CONTRACT) -> tuple[Path, list[Path]]:
    (stack,), failed = find_stacks(sorted(folder.glob("*.dcm")))
    assert not failed
    content = seg_of(stack, labels, contract, MODEL, form).written()
    target = folder / "out" / "seg.dcm"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(content)
    return target, list(stack.files)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("plane", PLANES)
def test_each_pixel_lies_where_the_image_has_it(tmp_path: Path, plane: str, form: str) -> None:
    reverse = plane in ("coronal", "oblique")
    wanted = series(tmp_path, PLANES[plane], reverse=reverse)  # by rising height
    labels = phantom(4, 24, 32)
    target, files = write(tmp_path, labels, form)
    assert files == wanted
    np.testing.assert_array_equal(by_highdicom(target, files), labels)
    np.testing.assert_array_equal(dcmqi_labels(target, files, tmp_path / "nrrd", form), labels)
    conforms(target, labelmap=form == "labelmap")


def dcmqi_labels(target: Path, files: list[Path], folder: Path, form: str) -> NDArray[np.uint8]:
    """dcmqi's volumes, read at the place in the patient that the source gives each of its pixels."""
    import pydicom

    found = np.zeros((len(files), 24, 32), np.uint8)
    rows, columns = np.mgrid[:24, :32]
    volumes = by_dcmqi(target, folder)
    assert volumes
    for number, (volume, affine) in volumes.items():
        for k, path in enumerate(files):
            it = pydicom.dcmread(path, stop_before_pixels=True)
            side, origin = np.array(it.ImageOrientationPatient, float), np.array(it.ImagePositionPatient, float)
            down, across = (float(v) for v in it.PixelSpacing)  # between rows, between columns
            mm = origin + columns[..., None] * across * side[:3] + rows[..., None] * down * side[3:]
            index = (mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
            assert np.abs(index - index.round()).max() < 2e-2
            i, j, m = index.round().astype(int).transpose(2, 0, 1)
            there = (
                (i >= 0) & (j >= 0) & (m >= 0) & (i < volume.shape[0]) & (j < volume.shape[1]) & (m < volume.shape[2])
            )
            values = np.zeros(rows.shape, np.uint8)
            values[there] = volume[i[there], j[there], m[there]]
            found[k] = np.where(values > 0, number if form == "binary" else values, found[k])
    return found


def test_a_swapped_slice_would_be_seen(tmp_path: Path) -> None:
    series(tmp_path, AXIAL)
    labels = phantom(4, 24, 32)
    target, files = write(tmp_path, labels[[1, 0, 2, 3]], "binary")
    assert (by_highdicom(target, files) != labels).any()
    assert (dcmqi_labels(target, files, tmp_path / "nrrd", "binary") != labels).any()


@pytest.mark.parametrize("form", FORMS)
def test_identity_codes_and_colours(tmp_path: Path, form: str) -> None:
    import highdicom
    import pydicom

    series(tmp_path, AXIAL)
    target, files = write(tmp_path, phantom(4, 24, 32), form)
    seg, source = highdicom.seg.segread(target), pydicom.dcmread(files[0])
    for word in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate",
                 "StudyTime", "AccessionNumber", "FrameOfReferenceUID"):  # fmt: skip
        assert seg[word].value == source[word].value, word
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert (seg.ContentDate, seg.ContentTime, seg.StationName) == ("20240506", "070809", "workstation")
    assert seg.DeviceSerialNumber == MODEL
    assert seg.DeviceUID.startswith("2.25.")
    liver, size, _ = (seg.get_segment_description(n) for n in (1, 2, 3))
    assert (liver.segmented_property_type.value, liver.segmented_property_type.meaning) == ("10200004", "Liver")
    assert liver.segmented_property_category.value == "123037004"
    assert liver.SegmentAlgorithmType == "AUTOMATIC"
    assert MODEL[:12] in liver.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion
    assert highdicom.color.CIELabColor.from_dicom_value(liver.RecommendedDisplayCIELabValue).to_rgb() == (220, 60, 60)
    assert (size.SegmentLabel, size.segmented_property_type.value) == ("Größe", "85756007")
    kind = "66.7" if form == "labelmap" else "66.4"
    assert (seg.SOPClassUID.endswith(kind), seg.SegmentationType) == (True, form.upper())


def test_the_same_again_is_the_same_object_and_another_is_not(tmp_path: Path) -> None:
    import pydicom

    series(tmp_path, AXIAL)
    labels = phantom(4, 24, 32)
    first = write(tmp_path, labels, "binary")[0].read_bytes()
    assert write(tmp_path, labels, "binary")[0].read_bytes() == first
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))

    def uid(labels: NDArray[np.uint8], model: str, form: str) -> str:
        (tmp_path / "x").write_bytes(seg_of(stack, labels, CONTRACT, model, form).written())
        return str(pydicom.dcmread(tmp_path / "x").SOPInstanceUID)

    uids = [uid(labels, MODEL, "binary"), uid(labels, "00" * 32, "binary"), uid(labels, MODEL, "labelmap"),
            uid(labels[::-1].copy(), MODEL, "binary")]  # fmt: skip
    assert len(set(uids)) == 4
    assert all(u.startswith("2.25.") and len(u) <= 64 for u in uids)


def test_another_version_makes_another_object(tmp_path: Path) -> None:
    import pydicom

    series(tmp_path, AXIAL)
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))
    uids = set()
    for version in ("1.25.0", "1.25.1"):
        content = seg_of(stack, phantom(4, 24, 32), CONTRACT, MODEL, "binary", version).written()
        (tmp_path / "x").write_bytes(content)
        seg = pydicom.dcmread(tmp_path / "x")
        assert f"onnxruntime {version}" in seg.SoftwareVersions
        uids.add(seg.SOPInstanceUID)
    assert len(uids) == 2


def test_nothing_found_is_an_answer_too(tmp_path: Path) -> None:
    series(tmp_path, AXIAL)
    written = {}
    for form in FORMS:
        target, files = write(tmp_path, np.zeros((4, 24, 32), np.uint8), form)
        assert not by_highdicom(target, files).any()
        written[form] = target.read_bytes()
    for form, data in written.items():
        target.write_bytes(data)
        conforms(target, labelmap=form == "labelmap")


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Äneas^Jürgen"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"), ("ISO_IR 192", "Σωκράτης")],
)
@pytest.mark.parametrize("label", ["cell", "Größe"])
def test_a_name_keeps_its_letters(tmp_path: Path, charset: Any, name: str, label: str) -> None:
    import pydicom

    save(placed(field(24, 32), (0, 0, 0), SpecificCharacterSet=charset, PatientName=name), tmp_path / "a.dcm")
    how = changed(CONTRACT, classes=(CLASSES[0], ClassInfo(label, (1, 2, 3))))
    target, _ = write(tmp_path, phantom(1, 24, 32) & 1, "binary", how)
    seg = pydicom.dcmread(target)
    assert (str(seg.PatientName), seg.SegmentSequence[0].SegmentLabel) == (name, label)


@pytest.mark.parametrize("charset", [None, "ISO_IR 100"])
@pytest.mark.parametrize("meaning", ["Größe", "肝臓"])
def test_the_meaning_of_a_code_keeps_its_letters(tmp_path: Path, charset: str | None, meaning: str) -> None:
    import pydicom

    name = "Aeneas^Juergen" if charset is None else "Äneas^Jürgen"
    it = placed(field(24, 32), (0, 0, 0), PatientName=name)
    if charset:
        it.SpecificCharacterSet = charset
    save(it, tmp_path / "a.dcm")
    codes = Code("1", "99X", meaning), Code("10200004", "SCT", "Liver")
    how = changed(CONTRACT, classes=(CLASSES[0], ClassInfo("liver", (1, 2, 3), *codes)))
    target, _ = write(tmp_path, phantom(1, 24, 32) & 1, "binary", how)
    seg = pydicom.dcmread(target)
    found = seg.SegmentSequence[0].SegmentedPropertyCategoryCodeSequence[0].CodeMeaning
    assert (seg.SpecificCharacterSet, str(seg.PatientName), found) == ("ISO_IR 192", name, meaning)


def test_an_image_that_says_little_still_gets_its_answer(tmp_path: Path) -> None:
    gaps = dict.fromkeys(("AccessionNumber", "StudyID", "PatientBirthDate", "ContentDate", "ContentTime", "StudyDate"))
    odd = {"PatientSex": "X", "StudyTime": "noon", "SeriesNumber": None}
    save(placed(field(24, 32), (0, 0, 0), **gaps, **odd), tmp_path / "a.dcm")
    target, files = write(tmp_path, phantom(1, 24, 32), "binary")
    np.testing.assert_array_equal(by_highdicom(target, files), phantom(1, 24, 32))


def test_long_and_odd_class_names_fit(tmp_path: Path) -> None:
    series(tmp_path, AXIAL)
    how = changed(CONTRACT, classes=(CLASSES[0], *(ClassInfo(n, (9, 9, 9)) for n in ("x" * 90, "a\\b\n", "\t"))))
    conforms(write(tmp_path, phantom(4, 24, 32), "binary", how)[0])


XA, NM, US = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("12.1", "20", "6.1"))


@pytest.mark.parametrize("kind", [SC, XA, NM, US])
@pytest.mark.parametrize("form", FORMS)
def test_an_image_without_a_position_is_answered_on_its_pixels(tmp_path: Path, kind: str, form: str) -> None:
    import pydicom

    it = dataset(
        field(24, 32), kind, PixelSpacing=["0", "0"], FrameOfReferenceUID="1.2.3", ImageType=["ORIGINAL", "PRIMARY"]
    )
    save(it, tmp_path / "a.dcm")
    target, files = write(tmp_path, phantom(1, 24, 32), form)
    np.testing.assert_array_equal(by_highdicom(target, files), phantom(1, 24, 32))
    assert "FrameOfReferenceUID" not in pydicom.dcmread(target)
    conforms(target, labelmap=form == "labelmap")


def test_slices_of_no_thickness_take_the_distance_to_the_next(tmp_path: Path) -> None:
    import pydicom

    for k in range(3):
        save(placed(field(24, 32, k), (0, 0, 4 * k), number=k + 1, SliceThickness=""), tmp_path / f"{k}.dcm")
    target, files = write(tmp_path, phantom(3, 24, 32), "binary")
    np.testing.assert_array_equal(by_highdicom(target, files), phantom(3, 24, 32))
    assert pydicom.dcmread(target).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 4


def test_it_says_when_where_with_which_model_and_under_which_signature(tmp_path: Path) -> None:
    import pydicom

    series(tmp_path, AXIAL)
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))
    signature = {"verified": True, "key_sha256": "ab" * 32}
    model = {"name": "liver-ct", "version": "1.2.0", "sha256": MODEL, "signature": signature}
    unsigned = {**model, "signature": {"verified": False, "key_sha256": ""}}
    found = []
    for made_with in (model, unsigned):
        seg = seg_of(stack, phantom(4, 24, 32), CONTRACT, MODEL, "binary", model=made_with, foreign=["modality MR"])
        (tmp_path / "x").write_bytes(seg.written())
        found.append(pydicom.dcmread(tmp_path / "x"))
        assert {"study_uid": found[-1].StudyInstanceUID, "series_uid": found[-1].SeriesInstanceUID,
                "sop_uid": found[-1].SOPInstanceUID} == seg.uids  # fmt: skip
        conforms(tmp_path / "x")
    signed = found[0]
    item = signed.ContributingEquipmentSequence[-1]
    assert (item.ContributionDateTime[:14], item.StationName) == (
        f"{signed.ContentDate}{signed.ContentTime}",
        "workstation",
    )
    assert item.ContributionDescription == f"model liver-ct 1.2.0; signature verified with the key {'ab' * 32}"
    assert "signature not verified" in found[1].ContributingEquipmentSequence[-1].ContributionDescription
    algorithm = signed.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion.split()[0]) == ("liver-ct", "1.2.0")
    assert signed.SeriesDescription == "liver-ct segmentation"
    assert signed.SegmentSequence[0].SegmentDescription == "modality MR"


@pytest.mark.parametrize(("zone", "hour"), [("+0530", "123809"), ("-0200", "050809")])
def test_times_are_in_the_zone_of_the_images(tmp_path: Path, zone: str, hour: str) -> None:
    import pydicom

    save(placed(field(24, 32), (0, 0, 0), TimezoneOffsetFromUTC=zone), tmp_path / "a.dcm")
    target, _ = write(tmp_path, phantom(1, 24, 32), "binary")
    assert pydicom.dcmread(target).ContentTime == hour


def test_another_time_makes_another_object(tmp_path: Path) -> None:
    series(tmp_path, AXIAL)
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))
    times = ("2024-05-06T07:08:09+00:00", "2024-05-06T07:08:10+00:00")
    segs = [seg_of(stack, phantom(4, 24, 32), CONTRACT, MODEL, "binary", time=time).uids for time in times]
    assert segs[0]["sop_uid"] != segs[1]["sop_uid"]
    assert segs[0]["series_uid"] == segs[1]["series_uid"]


def test_what_is_foreign_keeps_its_letters(tmp_path: Path) -> None:
    import pydicom

    series(tmp_path, AXIAL)
    (stack,), _ = find_stacks(sorted(tmp_path.glob("*.dcm")))
    seg = seg_of(
        stack, phantom(4, 24, 32) & 1, changed(CONTRACT, classes=TWO), MODEL, "binary", foreign=["CT statt RÖ"]
    )
    (tmp_path / "x").write_bytes(seg.written())
    assert pydicom.dcmread(tmp_path / "x").SegmentSequence[0].SegmentDescription == "CT statt RÖ"
