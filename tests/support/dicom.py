"""Made-up DICOM images of a made-up person, whose name and numbers must never show up anywhere."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from seg_runtime.pipeline import Array

NAME, ID, ACCESSION, UID_ROOT = "Zwetschge^Quirin", "PAT4711SECRET", "ACC0815SECRET", "1.2.826.0.1.3680043.8.498.4711"
SECRETS = (*NAME.split("^"), ID, ACCESSION, "4711")
CT, SC, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.2.1"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def dataset(pixels: Array, kind: str = CT, number: int = 1, series: int = 1, **more: Any) -> Any:
    """A single image of `(H, W)` or `(H, W, 3)` pixels without a place; `more` are elements by keyword, None drops one."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    it = Dataset()
    it.file_meta = FileMetaDataset()
    it.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    it.file_meta.MediaStorageSOPClassUID = it.SOPClassUID = kind
    it.SOPInstanceUID = it.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}.3.{series}.{number}"
    it.StudyInstanceUID, it.SeriesInstanceUID = f"{UID_ROOT}.1", f"{UID_ROOT}.2.{series}"
    it.PatientName, it.PatientID, it.AccessionNumber = NAME, ID, ACCESSION
    it.PatientBirthDate, it.PatientSex, it.StudyID, it.ReferringPhysicianName = "19700102", "F", "S1", ""
    it.StudyDate, it.StudyTime, it.ContentDate, it.ContentTime = "20240102", "101112", "20240102", "101500"
    it.Modality, it.Manufacturer, it.SeriesNumber, it.InstanceNumber = (
        "CT" if kind == CT else "OT",
        "Maker",
        series,
        number,
    )
    it.Rows, it.Columns = pixels.shape[:2]
    it.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    it.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        it.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    it.BitsAllocated, it.BitsStored, it.HighBit = bits, bits, bits - 1
    it.PixelRepresentation = int(pixels.dtype.kind == "i")
    it.PixelData = np.ascontiguousarray(pixels).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are the point of some tests
        for word, value in more.items():
            if value is None:
                delattr(it, word)
            else:
                setattr(it, word, value)
    return it


def placed(
    pixels: Array, position: Any, orientation: Any = AXIAL, spacing: Any = (1.0, 1.0), number: int = 1, **more: Any
) -> Any:
    """One CT slice at a place in the patient."""
    where = {
        "FrameOfReferenceUID": f"{UID_ROOT}.9", "PositionReferenceIndicator": "", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [f"{v:.6g}" for v in position], "ImageOrientationPatient": [f"{v:.8f}" for v in orientation],
        "PixelSpacing": [f"{v:.6g}" for v in spacing], "SliceThickness": "2", "KVP": "120", "AcquisitionNumber": "1",
        "RescaleSlope": "1", "RescaleIntercept": "-1024",
    }  # fmt: skip
    return dataset(pixels, CT, number, **{**where, **more})


def save(it: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        it.save_as(path, enforce_file_format=True)
    return path


def seg_of(
    stack: Any, labels: Array, contract: Any, sha256: str, form: str, version: str = "1.32.0",
    time: str = "2024-05-06T07:08:09+00:00", **more: Any,
) -> Any:  # fmt: skip
    """A SEG of labels `(frames, H, W)`; `more` are entries of the records."""
    from seg_runtime.formats.dicom.write import Seg

    record = {
        "model": {"sha256": sha256, "name": "", "version": "", "signature": {"verified": False, "key_sha256": ""}}, "versions": {"onnxruntime": version},
        "run": {"time": time, "host": "workstation"}, **more,
    }  # fmt: skip
    return Seg.of(stack, labels, [record], contract, form, "study")


def field(height: int, width: int, seed: int = 0) -> Array:
    """`(H, W)` int16 CT values as stored (HU + 1024) of blocks between air and bone."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 2000, (-(-height // 8), -(-width // 8)))
    return (blocks.repeat(8, 0).repeat(8, 1)[:height, :width] + rng.integers(0, 40, (height, width))).astype(np.int16)


def write_series(folder: Path, places: list[Any], shape: tuple[int, int] = (40, 56), **more: Any) -> list[Path]:
    """A CT series with one file per position, named by a running number, numbered in the order given."""
    return [
        save(placed(field(*shape, seed=i), p, number=i + 1, **more), folder / f"im{i:02}.dcm")
        for i, p in enumerate(places)
    ]
