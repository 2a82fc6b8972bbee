"""Group DICOM files into stacks of images in spatial order.

A stack corresponds to one DICOM SEG: the images of a series with the same size, orientation, spacing and frame of
reference, each at another position along the normal of their planes. A second image at the same position, such as
another phase of the heart, belongs to another stack.
"""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...support import ImageError, SegError, require_extra
from .library import Dataset, discreet
from .read import check_image, frame_count, read_dataset

_MERGED = 1e-3  # mm; closer positions along the normal are equal
_SAME = 1e-4  # direction cosines, and mm of spacing; smaller differences are rounding errors
_NEEDS_FRAME = frozenset(  # SOP classes whose images must have a frame of reference (PS3.3, A.1.4)
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4", "128", "128.1", "130")
)
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True)
class Stack:
    """Images of one series on one grid."""

    files: tuple[Path, ...]
    """By increasing position along the normal; one file if the images have no position."""
    frames: int
    """Number of frames in all files."""
    placed: bool
    """Whether the images have a position in the patient."""
    no_seg: str = ""
    """Why a DICOM SEG cannot reference the images; empty if it can."""

    def headers(self) -> list[Dataset]:
        """Read all elements of the files except the pixels, in order.

        Raises:
            ImageError: a file was removed or replaced since the stack was found.
        """
        headers = [read_dataset(path, str(path)) for path in self.files]
        for path, header in zip(self.files, headers, strict=True):
            check_image(header, str(path))
        with discreet(str(self.files[0].parent)):
            words = ("StudyInstanceUID", "SeriesInstanceUID", "PatientID")
            series = {tuple(str(h.get(word) or "").strip() for word in words) for h in headers}
            if len(series) > 1:
                raise ImageError(f"the files in {self.files[0].parent} changed during the run", "", "run it again")
        return headers


@dataclass(frozen=True)
class _Plane:
    """The position of the planes of a file."""

    key: tuple[Any, ...]
    """Equal for all images of a stack."""
    grid: NDArray[np.float64]
    """`(8,)` direction cosines of rows and columns, and spacing in mm; approximately equal for all images of a
    stack."""
    height_mm: float
    """Position of the first frame along the normal."""

    def joins(self, first: _Plane) -> bool:
        """Return whether it is on the grid of a stack's first image, within the rounding of each slice's directions."""
        return self.key == first.key and bool(np.abs(self.grid - first.grid).max() <= _SAME)


def find_stacks(files: Sequence[Path], apart: bool = False) -> tuple[list[Stack], list[tuple[Path, SegError]]]:
    """Return the stacks of DICOM files, in the order of their first files, and the files that fail.

    A copy of an earlier file is skipped. A different image with the SOP Instance UID of an earlier one fails, since a
    SEG could not distinguish the two.

    Args:
        files: DICOM files.
        apart: whether each file is a separate stack, as for files named by the user.
    """
    require_extra("dicom", "pydicom", "highdicom")  # one error if they are missing, not one per file
    grouped: list[tuple[_Plane, list[tuple[float, int, Path]]]] = []
    patients: dict[str, str] = {}
    found: dict[Path, Stack] = {}
    failed: list[tuple[Path, SegError]] = []
    seen: dict[str, Path] = {}
    for path in files:
        try:
            header = read_dataset(path, str(path))
            check_image(header, str(path))
            with discreet(str(path)):
                frames, where = frame_count(header), _plane_of(header)
                number = int(header.get("InstanceNumber") or 0)
                uid = str(header.get("SOPInstanceUID") or "")
                if uid in seen and _is_copy(path, seen[uid]):
                    continue
                _check_patient(path, header, patients)
        except SegError as error:
            failed.append((path, error))
            continue
        if uid:
            seen[uid] = path
        if apart or isinstance(where, str) or frames > 1:
            found[path] = _alone(path, header, frames, where)
        else:
            members = next((m for first, m in grouped if where.joins(first)), None)
            if members is None:
                grouped.append((where, members := []))
            members.append((where.height_mm, number, path))
    for _, members in grouped:
        for paths in _layers(members):
            found[min(paths)] = Stack(tuple(paths), len(paths), True)
    return [found[path] for path in sorted(found)], failed


def _is_copy(path: Path, earlier: Path) -> bool:
    """Return True if two files with the same SOP Instance UID have the same bytes.

    Raises:
        ImageError: they differ.
    """
    if filecmp.cmp(path, earlier, shallow=False):
        return True
    problem = f"{path} has the same SOP Instance UID as another image"
    raise ImageError(problem, "one image per UID", "export the series again")


def _check_patient(path: Path, header: Dataset, patients: dict[str, str]) -> None:
    """Check that an image has the same Patient ID as its series, since a SEG takes the patient from one image.

    Args:
        path: path of the file.
        header: header of the file.
        patients: Patient ID by series; that of the file is added.

    Raises:
        ImageError: it differs; the error does not contain the Patient ID.
    """
    series = header.get("SeriesInstanceUID")
    patient = str(header.get("PatientID") or "").strip()
    if series and patients.setdefault(str(series), patient) != patient:
        problem = f"{path} has a different Patient ID than an earlier image of its series"
        raise ImageError(problem, "one patient per series", "export the series again")


def _plane_of(header: Dataset) -> _Plane | str:
    """Return the position of the planes of a file, or why it is unknown, without values from the file."""
    if reason := _unfit(header):
        return reason
    frames, nowhere = frame_count(header), "its frames have no position in the patient"
    if frames > 1 and frames != len(header.get("PerFrameFunctionalGroupsSequence") or []):
        return nowhere  # before a loop over frames, whose number is only a claim
    planes = [_plane(header, index) for index in range(frames)]
    if not header.get("FrameOfReferenceUID") or not planes or None in planes:
        return nowhere
    sides, positions, spacings = (np.array([p[i] for p in planes if p], np.float64) for i in range(3))
    if not all(np.isfinite(v).all() for v in (sides, positions, spacings)) or (spacings <= 0).any():
        return "its positions are not valid numbers"
    row, column = sides[0, :3], sides[0, 3:]
    if abs(np.linalg.norm(row) - 1) > 1e-2 or abs(np.linalg.norm(column) - 1) > 1e-2 or abs(row @ column) > 1e-2:
        return "its rows and columns are not at right angles"
    if np.ptp(sides, axis=0).max() > _SAME or np.ptp(spacings, axis=0).max() > _SAME:
        return "its frames lie in planes of different directions or spacings"
    heights = positions @ np.cross(row, column)
    if len(heights) > 1 and np.diff(np.sort(heights)).min() < _MERGED:
        return "several of its frames have the same position"
    identity = tuple(str(header.get(word)) for word in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"))
    key = (*identity, str(header.SOPClassUID), int(header.Rows), int(header.Columns))
    return _Plane(key, np.concatenate([sides[0], spacings[0]]), float(heights[0]))


def _unfit(header: Dataset) -> str:
    """Return why a DICOM SEG cannot reference a file, whatever its position; empty if it can."""
    if missing := [word for word in _IDENTITY if not header.get(word)]:
        return f"it has no {missing[0]}"
    kind = header.SOPClassUID
    if kind.is_private or kind.is_retired or kind.name == str(kind):
        return "its SOP class is not in the current standard"
    return ""


def _plane(header: Dataset, index: int) -> tuple[list[float], list[float], list[float]] | None:
    """Return orientation, position and spacing of a frame, from the file or its functional groups."""
    groups = []
    for word, place_ in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        items = header.get(word) or []
        if place_ < len(items):
            groups.append(items[place_])
    values = []
    for group, word, count in (
        ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        ("PlanePositionSequence", "ImagePositionPatient", 3),
        ("PixelMeasuresSequence", "PixelSpacing", 2),
    ):
        holders = [g[group][0] for g in groups if g.get(group)] or ([header] if frame_count(header) == 1 else [])
        value = next((h.get(word) for h in holders if h.get(word)), None)
        if value is None or len(value) != count:
            return None
        values.append([float(v) for v in value])
    return values[0], values[1], values[2]


def _alone(path: Path, header: Dataset, frames: int, where: _Plane | str) -> Stack:
    if isinstance(where, _Plane):
        return Stack((path,), frames, True)
    reason = _unfit(header) or where
    if frames == 1 and not _unfit(header):
        # PS3.3, A.51: without a frame of reference, a segmentation has the pixel grid of the image that it references
        reason = "an image of its kind must have a frame of reference" if header.SOPClassUID in _NEEDS_FRAME else ""
    return Stack((path,), frames, False, reason)


def _layers(members: list[tuple[float, int, Path]]) -> list[list[Path]]:
    """Sort images by height; further images at the same height go to further layers."""
    layers: list[list[Path]] = []
    last, depth = float("-inf"), 0
    for height, _, path in sorted(members):
        depth = depth + 1 if height - last < _MERGED else 0
        if not depth:
            last = height
        if depth == len(layers):
            layers.append([])
        layers[depth].append(path)
    return layers
