"""What is needed of the headers of DICOM images to group them: whose they are, and where their pixels lie."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .library import Dataset, discreet
from .phases import WORDS, facts_of
from .planes import Planes, needs_frame, planes_of, unfit
from .read import frame_count, read_dataset

_OWNER = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "AccessionNumber",
)  # fmt: skip

Contents = Mapping[Path, bytes]
"""Contents of files that are in memory, by the names that stand for them."""


@dataclass(frozen=True, eq=False)
class DicomImage:
    """A DICOM file that is an image.

    Attributes:
        path: its file.
        uid: its SOP Instance UID; empty if it has none.
        study: UID of its study.
        series: UID of its series; empty if it has none.
        owner: patient and study, which a SEG takes from its first image. Compared, but never shown.
        kind: SOP class and size.
        number: its instance number.
        frames: number of frames.
        planes: where it lies, or why that is unknown.
        no_seg: why a DICOM SEG cannot reference it; empty if it can.
        renamed: whether the file is another instance by its meta information, as if it were damaged or its UID replaced.
        between_mm: declared distance between slices; 0 if unknown.
        facts: what distinguishes it from images at the same position, see `phases`.
        level: rank of its position among the images of its series.
    """

    path: Path
    uid: str
    study: str
    series: str
    owner: tuple[str, ...]
    kind: tuple[str, int, int]
    number: int
    frames: int
    planes: Planes | str
    no_seg: str
    renamed: bool
    between_mm: float
    facts: tuple[str, ...]
    level: int = 0

    @property
    def localizer(self) -> bool:
        """Whether other images were planned on it, such as the scout view of a CT scan."""
        return "LOCALIZER" in self.facts[WORDS.index("ImageType")].upper()

    def shift_px(self, sides: NDArray[np.float64]) -> float:
        """Return by how many px a corner moves if its direction cosines are replaced by others `(6,)`."""
        assert isinstance(self.planes, Planes)
        rows, columns = self.kind[1:]
        turned = np.abs(self.planes.sides - sides).reshape(2, 3)
        along = np.linalg.norm(turned, axis=1) * self.planes.spacing_mm[::-1] * (columns, rows)
        return float(along.sum() / self.planes.spacing_mm.min())


def header_of(path: Path, contents: Contents) -> Dataset:
    """Read the elements of a file before the pixels; see `read_dataset`."""
    return read_dataset(io.BytesIO(contents[path]) if path in contents else path, str(path))


def image_of(path: Path, header: Dataset) -> DicomImage:
    """Return what is needed of a header.

    Raises:
        ImageError: an element cannot be parsed.
    """

    def text(word: str) -> str:
        return str(header.get(word) or "").strip()

    with discreet(str(path)):
        planes, frames = planes_of(header), frame_count(header)
        no_seg = ""
        if isinstance(planes, str):
            no_seg = unfit(header) or planes
            if frames == 1 and not unfit(header) and not needs_frame(header):
                no_seg = ""  # PS3.3, A.51: without a frame of reference, a segmentation has the pixel grid of the image
        uid, stored = text("SOPInstanceUID"), header.file_meta.get("MediaStorageSOPInstanceUID")
        return DicomImage(
            path, uid, text("StudyInstanceUID"), text("SeriesInstanceUID"),
            tuple(" ".join(text(word).upper().replace("^", " ").split()) for word in _OWNER),
            (text("SOPClassUID"), int(header.Rows), int(header.Columns)), int(header.get("InstanceNumber") or 0), frames,
            planes, no_seg, bool(stored) and str(stored) != uid, _between_mm(header), facts_of(header),
        )  # fmt: skip


def _between_mm(header: Dataset) -> float:
    with contextlib.suppress(TypeError, ValueError):
        return abs(float(header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 0))
    return 0.0
