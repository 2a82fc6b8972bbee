"""The distance between the frames of a volume: by their positions, else as stated, never by their thickness."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from seg_runtime.formats import FORMATS, ReadOptions

from tests.support.dicom import ENHANCED_CT, dataset

AXIAL, TILTED = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0.8, 0.6)


def volume(
    heights: list[float] | None, between: float | None = None, sides: Any = AXIAL, spacing: Any = (0.7, 0.8)
) -> bytes:
    """An Enhanced CT image of four frames at some heights along z, each 5 mm thick."""
    it = dataset(np.zeros((8, 9), np.int16), NumberOfFrames=4)
    it.SOPClassUID = it.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    it.PixelData = bytes(4 * 8 * 9 * 2)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing), 5
    if between is not None:
        measures.SpacingBetweenSlices = between
    orientation.ImageOrientationPatient = list(sides)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    frames = [Dataset() for _ in range(4)]
    for frame, height in zip(frames, heights or [], strict=False):
        position = Dataset()
        position.ImagePositionPatient = [0, 0, height]
        frame.PlanePositionSequence = [position]
    it.SharedFunctionalGroupsSequence, it.PerFrameFunctionalGroupsSequence = [shared], frames
    file = io.BytesIO()
    it.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "between_mm"),
    [
        (volume([0, 2.5, 5, 7.5]), 2.5),
        (volume([7.5, 5, 2.5, 0]), 2.5),
        (volume([0, 2.5, 5, 7.5], between=5), 2.5),
        (volume([0, 2.501, 5, 7.499]), 2.5),
        (volume([0, 2.5, 5, 7.5], sides=TILTED), 2.0),  # along the normal
        (volume(None, between=3), 3),
        (volume(None), None),
        (volume(None, between=0), None),
        (volume([0, 2.5, 5, 10], between=2.5), None),  # a frame is missing
        (volume([0, 0, 2.5, 2.5], between=2.5), None),  # two phases
        (volume([0, 0, 0, 0], between=2.5), None),
    ],
)
def test_the_distance_between_frames(data: bytes, between_mm: float | None) -> None:
    page = next(FORMATS.of(data, "a.dcm").read(data, "a.dcm", ReadOptions(axes=3)))
    known = () if between_mm is None else (between_mm,)
    assert page.acquisition.spacing_mm == pytest.approx((*known, 0.7, 0.8), rel=1e-3)
    assert page.place.spacing_mm == (page.acquisition.spacing_mm if known else None)


def test_more_frames_than_are_described_have_no_positions() -> None:
    """So that a damaged count does not take hours."""
    from pydicom import dcmread
    from seg_runtime.formats.dicom.acquired import acquisition_of

    it = dcmread(io.BytesIO(volume([0, 2.5, 5, 7.5])))
    it.NumberOfFrames = 2**31 - 1
    assert acquisition_of(it, "a.dcm", axes=3).spacing_mm == (0.7, 0.8)


@pytest.mark.parametrize(("axes", "shown"), [(2, "5000 mm × 0.8 mm"), (3, "2.5 mm × 5000 mm × 0.8 mm")])
def test_an_absurd_size_is_unknown(axes: int, shown: str) -> None:
    data = volume([0, 2.5, 5, 7.5], spacing=(5000, 0.8))
    page = next(FORMATS.of(data, "a.dcm").read(data, "a.dcm", ReadOptions(axes=axes)))
    assert page.place.spacing_mm is None
    assert page.acquisition.spacing_mm == ()
    assert page.acquisition.spacing_doubt == f"a pixel of {shown}, which cannot be"
