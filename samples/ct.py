"""Generate a synthetic CT series of sample cells with masks: `python samples/ct.py CT --slices 8` (needs the extra `dicom`).

DICOM slices are in `CT/images`, masks in `CT/masks`, so `seg-train CT` and `seg-run MODEL CT/images` both work.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from cells import field
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AIR = -1024  # value in Hounsfield units of the stored value 0


def ct_slice(hounsfield: NDArray[np.int16], number: int) -> Dataset:
    """Make a slice `(H, W)`, 2 mm above the previous one, of a fictitious patient."""
    it = Dataset()
    it.file_meta = FileMetaDataset()
    it.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    it.file_meta.MediaStorageSOPClassUID = it.SOPClassUID = CTImageStorage
    it.SOPInstanceUID = it.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["slice", str(number)])
    it.StudyInstanceUID, it.SeriesInstanceUID, it.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=[word]) for word in ("study", "series", "frame of reference")
    )
    it.PatientName, it.PatientID, it.PatientBirthDate, it.PatientSex = "Sample^Cells", "SAMPLE", "", ""
    it.StudyDate, it.StudyTime, it.StudyID, it.AccessionNumber = "20240101", "120000", "1", ""
    it.Modality, it.Manufacturer, it.ReferringPhysicianName, it.KVP = "CT", "seg-edge samples", "", "120"
    it.SeriesNumber, it.AcquisitionNumber, it.InstanceNumber, it.PatientPosition = 1, 1, number + 1, "HFS"
    it.ImageType, it.PositionReferenceIndicator, it.SliceThickness = ["ORIGINAL", "PRIMARY", "AXIAL"], "", "2"
    it.ImagePositionPatient, it.ImageOrientationPatient = [0, 0, 2 * number], [1, 0, 0, 0, 1, 0]
    it.PixelSpacing, it.SamplesPerPixel, it.PhotometricInterpretation = [0.5, 0.5], 1, "MONOCHROME2"
    it.Rows, it.Columns = hounsfield.shape
    it.BitsAllocated, it.BitsStored, it.HighBit, it.PixelRepresentation = 16, 16, 15, 1
    it.RescaleSlope, it.RescaleIntercept = 1, AIR
    it.PixelData = (hounsfield - AIR).astype(np.int16).tobytes()
    return it


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--slices", type=click.IntRange(1), default=8, show_default=True)
@click.option("--size", type=click.IntRange(16), default=256, show_default=True, help="Side in px.")
def main(folder: Path, slices: int, size: int) -> None:
    """Write slices to FOLDER/images and masks to FOLDER/masks."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    for number in range(slices):
        grey, instances = field(size, cells=size // 5, rng=rng)
        hounsfield = grey.astype(np.int16) * 2 - 200  # soft tissue and bone
        ct_slice(hounsfield, number).save_as(folder / "images" / f"{number:03}.dcm", enforce_file_format=True)
        Image.fromarray((instances > 0).astype(np.uint8) * np.uint8(255)).save(folder / "masks" / f"{number:03}.png")
    click.echo(f"wrote {slices} slices of {size}×{size} px to {folder}")


if __name__ == "__main__":
    main()
