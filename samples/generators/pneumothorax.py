"""Chest radiographs in DICOM with run lengths, in the layout of the SIIM-ACR challenge; half of them are healthy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from scipy import ndimage

from ..shapes import bytes_of, ellipse, shading, texture
from .short import TINY, Short, nothing

SIZE = 128
SHORT = Short(
    (*TINY, "--steps", "350"),
    24,
    nothing,
    "always empty",
)


def chest(ill: bool, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Generate a radiograph `(SIZE, SIZE)` and its pneumothorax: none, or a crescent without vessels outside the lung."""
    rows = np.arange(SIZE)[:, None] / SIZE
    light = np.where(ellipse(SIZE, (0.75, 0.5), (0.75, 0.47)) < 1, 150.0, 25.0)
    air = np.zeros((SIZE, SIZE), bool)
    side = int(rng.integers(2))
    for lung, x in enumerate((0.29, 0.71)):
        centre, axes = (0.5 + rng.uniform(-0.03, 0.03), x), (rng.uniform(0.3, 0.36), rng.uniform(0.15, 0.18))
        inside = (ellipse(SIZE, centre, axes) < 1) & (rows < 0.78)
        light[inside] = 85 + 16 * texture(SIZE, 1.2, rng)[inside]
        if ill and lung == side:
            outwards = (-1 if lung == 0 else 1) * rng.uniform(0.05, 0.09)
            lower = centre[0] + rng.uniform(0.04, 0.1)
            kept = ellipse(SIZE, (lower, x - outwards), (axes[0] * 0.85, axes[1] * 0.85)) < 1
            air |= inside & ~kept & (rows < lower + 0.1)
    light[air] = rng.uniform(40, 52)
    heart = ellipse(SIZE, (0.65, 0.53), (0.16, 0.13)) < 1
    light[heart & ~air] = 165
    ribs = 12 * np.clip(np.sin((rows + 0.35 * np.abs(np.arange(SIZE) / SIZE - 0.5)) * 50) - 0.3, 0, 1)
    picture = ndimage.gaussian_filter(light, 0.8) + ribs + 25 * shading(SIZE, rng) + rng.normal(0, 4, light.shape)
    return bytes_of(picture), air


def runs(mask: NDArray[np.bool_]) -> str:
    """Encode a mask as gaps and lengths down the columns, -1 for an empty mask."""
    down = np.concatenate([[False], mask.T.ravel(), [False]])
    edges = np.flatnonzero(down[1:] != down[:-1])
    return " ".join(map(str, np.diff(edges, prepend=0))) if len(edges) else "-1"


def radiograph(picture: NDArray[np.uint8], number: int) -> Dataset:
    """Make a DICOM file of a fictitious patient."""
    it = Dataset()
    it.file_meta = FileMetaDataset()
    it.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    it.file_meta.MediaStorageSOPClassUID = it.SOPClassUID = SecondaryCaptureImageStorage
    it.StudyInstanceUID, it.SeriesInstanceUID, it.SOPInstanceUID = (
        generate_uid(entropy_srcs=[word, str(number)]) for word in ("study", "series", "image")
    )
    it.file_meta.MediaStorageSOPInstanceUID = it.SOPInstanceUID
    it.PatientName, it.PatientID, it.PatientBirthDate, it.PatientSex = "Sample^Chest", f"SAMPLE{number}", "", ""
    it.StudyDate, it.StudyTime, it.StudyID, it.AccessionNumber = "20240101", "120000", "1", ""
    it.Modality, it.ConversionType, it.BodyPartExamined, it.ViewPosition = "CR", "WSD", "CHEST", "PA"
    it.ReferringPhysicianName, it.SeriesNumber, it.InstanceNumber, it.PatientOrientation = "", 1, 1, ""
    it.SamplesPerPixel, it.PhotometricInterpretation, it.PixelSpacing = 1, "MONOCHROME2", [2.0, 2.0]
    it.Rows, it.Columns = picture.shape
    it.BitsAllocated, it.BitsStored, it.HighBit, it.PixelRepresentation = 8, 8, 7, 0
    it.PixelData = picture.tobytes()
    return it


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` radiographs in folders for study and series, and the table."""
    rng = np.random.default_rng(seed)
    lines = ["ImageId, EncodedPixels\n"]
    for number in range(count):
        picture, air = chest(number % 2 == 0, rng)
        it = radiograph(picture, number)
        folder = root / "dicom-images-train" / it.StudyInstanceUID / it.SeriesInstanceUID
        folder.mkdir(parents=True, exist_ok=True)
        it.save_as(folder / f"{it.SOPInstanceUID}.dcm", enforce_file_format=True)
        lines.append(f"{it.SOPInstanceUID}, {runs(air)}\n")
    (root / "train-rle.csv").write_text("".join(lines))
