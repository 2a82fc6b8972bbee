"""The position of the planes of a DICOM file in the patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .library import Dataset
from .read import frame_count

SAME = 1e-4  # direction cosines of frames, and mm of spacing; smaller differences are rounding errors
_ROUNDED = 2e-3  # direction cosines of slices, which some programs round to three digits
MERGED_MM = 1e-3  # closer positions along the normal are equal
_NEEDS_FRAME = frozenset(  # SOP classes whose images must have a frame of reference (PS3.3, A.1.4)
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130")
)
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5, 9.1
_ALONG = 0.9  # smallest cosine between the normal of an axial slice and the axis of the body


@dataclass(frozen=True, eq=False)
class Planes:
    """The position of the planes of a file.

    Attributes:
        series: UID of the series.
        key: equal for all images of a stack, and for further series of the same kind.
        sides: `(6,)` direction cosines of rows and columns, as unit vectors at right angles.
        spacing_mm: `(2,)` distance between rows and between columns.
        positions_mm: `(F, 3)` centre of the first pixel of each frame.
    """

    series: str
    key: tuple[Any, ...]
    sides: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]
    positions_mm: NDArray[np.float64]

    def joins(self, first: Planes) -> bool:
        """Return whether it is on the grid of a stack's first image, within the rounding of each slice's numbers."""
        return self.series == first.series and self.lies_like(first)

    def lies_like(self, other: Planes) -> bool:
        """Return whether it has the size, the directions and the spacing of an image, maybe of another series."""
        turned, scaled = np.abs(self.sides - other.sides).max(), np.abs(self.spacing_mm - other.spacing_mm).max()
        return self.key == other.key and bool(turned <= _ROUNDED and scaled <= SAME)


def planes_of(header: Dataset) -> Planes | str:
    """Return the position of the planes of a file, or why it is unknown, without values from the file."""
    if reason := unfit(header):
        return reason
    frames, described = frame_count(header), len(header.get("PerFrameFunctionalGroupsSequence") or [])
    nowhere = "its frames have no position in the patient" if frames > 1 else "it has no position in the patient"
    if frames != described and (frames > 1 or described > 1):
        return nowhere if frames > 1 else f"it has 1 frame but describes {described}"
    planes = [_plane(header, index) for index in range(frames)]  # bounded by the groups, of which each is an item
    if not header.get("FrameOfReferenceUID") or not planes or None in planes:
        return nowhere
    sides, positions, spacings = (np.array([p[i] for p in planes if p], np.float64) for i in range(3))
    if not all(np.isfinite(v).all() for v in (sides, positions, spacings)) or (spacings <= 0).any():
        return "its positions are not valid numbers"
    row, column = sides[0, :3], sides[0, 3:]
    if abs(np.linalg.norm(row) - 1) > 1e-2 or abs(np.linalg.norm(column) - 1) > 1e-2 or abs(row @ column) > 1e-2:
        return "its rows and columns are not at right angles"
    if np.ptp(sides, axis=0).max() > SAME or np.ptp(spacings, axis=0).max() > SAME:
        return "its frames lie in planes of different directions or spacings"
    heights = positions @ np.cross(row, column)
    if len(heights) > 1 and np.diff(np.sort(heights)).min() < MERGED_MM:
        return "several of its frames have the same position"
    identity = tuple(str(header.get(word)) for word in ("StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID"))
    key = (*identity, int(header.Rows), int(header.Columns))
    return Planes(
        str(header.SeriesInstanceUID), key, right_angled([sides.mean(axis=0)]), spacings.mean(axis=0), positions
    )


def unfit(header: Dataset) -> str:
    """Return why a DICOM SEG cannot reference a file, whatever its position; empty if it can."""
    if missing := [word for word in _IDENTITY if not header.get(word)]:
        return f"it has no {missing[0]}"
    if odd := [
        word for word in (*_IDENTITY, "FrameOfReferenceUID") if not _UID.fullmatch(str(header.get(word) or "0"))
    ]:
        return f"its {odd[0]} is not a valid UID"
    kind = header.SOPClassUID
    if kind.is_private or kind.is_retired or kind.name == str(kind):
        return "its SOP class is not in the current standard"
    return ""


def needs_frame(header: Dataset) -> bool:
    """Return whether an image of this SOP class must have a frame of reference."""
    return header.get("SOPClassUID") in _NEEDS_FRAME


def _plane(header: Dataset, index: int) -> tuple[list[float], list[float], list[float]] | None:
    """Return orientation, position and spacing of a frame, from the file or its functional groups."""
    values = []
    for group, word, count in (
        ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        ("PlanePositionSequence", "ImagePositionPatient", 3),
        ("PixelMeasuresSequence", "PixelSpacing", 2),
    ):
        value = value_of(header, index, group, word)
        if value is None or len(value) != count:
            return None
        values.append([float(v) for v in value])
    return values[0], values[1], values[2]


def value_of(header: Dataset, index: int, group: str, word: str) -> Any:
    """Return an element of a frame, from its functional group, the shared one or, of a single frame, the file."""
    for groups, place in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = header.get(groups) or []
        if place < len(items) and items[place].get(group):
            return items[place][group][0].get(word)
    return header.get(word) if frame_count(header) == 1 else None


def right_angled(sides: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean `(6,)` of direction cosines as two unit vectors at right angles, whatever the files' rounding."""
    mean = np.mean(sides, axis=0)
    row = mean[:3] / np.linalg.norm(mean[:3])
    column = mean[3:] - (mean[3:] @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def orientation_of(sides: NDArray[np.float64]) -> str:
    """Return the orientation of slices: `axial`, `coronal`, `sagittal` or `oblique`."""
    normal = np.abs(np.cross(sides[:3], sides[3:]))
    axis = int(normal.argmax())
    return ("sagittal", "coronal", "axial")[axis] if normal[axis] >= _ALONG else "oblique"
