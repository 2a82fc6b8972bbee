"""Images that a model was not made for: refused, or accepted with a note in the record and in the SEG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from seg_runtime import ImageError, Intensity, Segmenter

from tests.support.commands import error_of, ok, seg_run_on_cpu
from tests.support.dicom import SC, dataset, field, placed, save
from tests.support.images import noise_image
from tests.support.models import MakeModel
from tests.support.nifti import nifti, put_nifti
from tests.support.policies import CR_STORAGE, FOR_CT, MR_STORAGE, US_STORAGE, with_parts

PLACE = (0.0, 0.0, 5.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture(scope="module")
def ct_model(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model made for axial CT with pixels of 1 mm, trained on floats."""
    model = make_model(channels=1, classes=3, intensity=Intensity("window", level=0, width=2000), pixels="float")
    return with_parts(model.path, tmp_path_factory.mktemp("ct") / "ct.onnx", policy=FOR_CT)


def ct(**more: Any) -> Any:
    return placed(field(40, 56), PLACE, **more)


def unscaled() -> Any:
    it = ct()
    del it.RescaleSlope, it.RescaleIntercept
    return it


def radiograph() -> Any:
    it = dataset(noise_image(40, 56, 1)[..., 0], CR_STORAGE, Modality="CR")
    it.ImageType = ["ORIGINAL", "PRIMARY"]
    return it


def as_kind(kind: str, modality: str) -> Any:
    it = ct(SOPClassUID=kind, Modality=modality)
    it.file_meta.MediaStorageSOPClassUID = kind
    return it


FOREIGN = {
    "MR": (lambda: as_kind(MR_STORAGE, "MR"), "modality MR instead of CT"),
    "US": (lambda: as_kind(US_STORAGE, "US"), "modality US instead of CT"),
    "screenshot": (lambda: as_kind(SC, "CT"), f"SOP class {SC} instead of"),
    "raw values": (unscaled, "grey values without a unit instead of HU"),
    "coronal": (lambda: placed(field(40, 56), PLACE, CORONAL), "orientation coronal instead of axial"),
    "micrometres": (
        lambda: placed(field(40, 56), PLACE, spacing=(0.01, 0.01)),
        "a pixel spacing of 10 µm instead of",
    ),
    "8 bits": (radiograph, "modality CR instead of CT"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_dicom_images_outside_the_policy(
    tmp_path: Path, ct_model: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydicom

    monkeypatch.chdir(tmp_path)
    make, found = FOREIGN[kind]
    save(make(), Path("a.dcm"))
    line = error_of(seg_run_on_cpu("--model", ct_model, "a.dcm"))
    assert found in line
    assert "pass --accept-foreign" in line
    assert not Path("a.json").exists()
    done = ok(seg_run_on_cpu("--model", ct_model, "a.dcm", "--accept-foreign"))
    assert f"note: a.dcm has {found}" in done.output
    record = json.loads(Path("a.json").read_text())
    assert found in record["foreign"][0]
    assert found in record["warnings"][0]
    seg = pydicom.dcmread("a_seg.dcm")
    assert found in seg.SegmentSequence[0].SegmentDescription
    assert seg.ContentDescription == "Outside what the model was made for"


def test_images_inside_the_policy_are_silent(tmp_path: Path, ct_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pydicom

    monkeypatch.chdir(tmp_path)
    save(ct(), Path("a.dcm"))
    done = ok(seg_run_on_cpu("--model", ct_model, "a.dcm"))
    assert "note" not in done.output
    assert "pixel values of masks" not in done.output  # since the result is a SEG
    record = json.loads(Path("a.json").read_text())
    assert (record["foreign"], record["warnings"]) == ([], [])
    known = {key: record["input"][key] for key in ("modality", "orientation", "unit", "spacing_mm")}
    assert known == {"modality": "CT", "orientation": "axial", "unit": "HU", "spacing_mm": [1.0, 1.0]}
    seg = pydicom.dcmread("a_seg.dcm")
    assert "SegmentDescription" not in seg.SegmentSequence[0]
    assert record["dicom"]["seg"] == {
        "study_uid": seg.StudyInstanceUID, "series_uid": seg.SeriesInstanceUID, "sop_uid": seg.SOPInstanceUID
    }  # fmt: skip


def test_another_spacing_gets_a_warning(tmp_path: Path, ct_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(placed(field(40, 56), PLACE, spacing=(0.5, 0.5)), Path("a.dcm"))
    done = ok(seg_run_on_cpu("--model", ct_model, "a.dcm", "--resample", "never"))
    found = "a.dcm has a pixel spacing of 0.5 mm instead of 1 mm of the training images, so the result may be wrong"
    assert f"note: {found}" in done.output
    assert json.loads(Path("a.json").read_text())["warnings"] == [found]
    ok(seg_run_on_cpu("--model", ct_model, "a.dcm", "--overwrite"))
    record = json.loads(Path("a.json").read_text())
    assert record["warnings"] == []
    assert record["input"]["resampled"] == {"shape": [20, 28], "spacing_mm": [1.0, 1.0]}


@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_are_not_in_hounsfield_units(
    tmp_path: Path, ct_model: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grey = noise_image(40, 56, 1)[..., 0]
    Image.fromarray(grey if bits == 8 else grey.astype(np.uint16) * 16).save("a.png")
    assert "a.png has grey values without a unit instead of HU" in error_of(
        seg_run_on_cpu("--model", ct_model, "a.png")
    )
    ok(seg_run_on_cpu("--model", ct_model, "a.png", "--accept-foreign"))


def test_a_volume_may_be_in_hounsfield_units_but_does_not_say_so(
    tmp_path: Path, ct_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put_nifti(Path("a.nii.gz"), nifti(np.zeros((2, 30, 24, 1), np.int16)))
    done = ok(seg_run_on_cpu("--model", ct_model, "a.nii.gz"))
    assert "a.nii.gz has no stated modality, while the training images are CT" in done.output


def test_another_kind_of_grey_values_is_accepted_on_request(make_model: MakeModel) -> None:
    floats = make_model(channels=1, intensity=Intensity("zscore", std_floor=0.01), pixels="float")
    image = noise_image(60, 70, 1)
    with Segmenter(floats.path, provider="cpu") as segmenter, pytest.raises(ImageError, match="pass --accept-foreign"):
        segmenter(image)
    with Segmenter(floats.path, provider="cpu", accept_foreign=True) as segmenter:
        result = segmenter(image, probabilities=False)
        assert result.record["foreign"] == ["integer grey values instead of float ones"]
        assert result.probabilities.shape == (2, 60, 70)
