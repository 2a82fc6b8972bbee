"""Reader of the SIIM-ACR pneumothorax challenge: chest radiographs in DICOM, masks as run lengths in a table.

dicom-images-train/STUDY/SERIES/IMAGE.dcm     1024×1024, 8 bits; the names are UIDs
train-rle.csv                                 "ImageId, EncodedPixels": UID of the image, runs of the pneumothorax
                                              or -1 for none; an image with several has several rows

                                              Runs are pairs "GAP LENGTH": GAP pixels after the end of the previous run are skipped, then LENGTH pixels are marked.
                                              Pixels are counted down the first column, then down the second, and so on.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS
from seg_runtime.model import Acquisition
from seg_runtime.support import DataError, open_file

from .. import (
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    acquisition_of,
    by_name,
    matched,
    read_image,
    reads,
    to_labels,
)

_TABLES = ("train-rle.csv", "stage_2_train.csv")
_LAYOUT = "IMAGE.dcm in any subfolders and train-rle.csv with the columns ImageId, EncodedPixels"
_NONE = "-1"


@dataclass(frozen=True)
class _RunsCase(Case):
    """A radiograph and the runs of its mask: 1 inside, 0 elsewhere."""

    name: str
    image_file: Path
    runs: tuple[str, ...]
    """Runs of the rows of the table; empty without a pneumothorax."""
    table: Path

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_image(self.image_file)

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_file)

    def values(self) -> dict[int, str]:
        """0 and 1, even if this case contains only one of them."""
        return {0: str(self.table), 1: str(self.table)}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`.

        Raises:
            DataError: if the runs are malformed or end outside the image.
        """
        image = self.image()
        mask = np.zeros(image.shape[:2], bool)
        for row in self.runs:
            mask |= decode_runs(row, (image.shape[0], image.shape[1]), f"{self.table}, {self.name}")
        return Example(image, to_labels(mask.astype(np.int64), classes, f"{self.table}, {self.name},"))


def _fits_siim(root: Path) -> bool:
    """Whether a folder has the table."""
    return any((root / name).is_file() for name in _TABLES)


@reads(_fits_siim)
def find_siim(root: Path, report: Report) -> DataSet:
    """Find the radiographs that the table lists.

    Raises:
        DataError: if the table or the images are missing, the table is malformed, or two images have the same UID.
    """
    table = next((root / name for name in _TABLES if (root / name).is_file()), None)
    if table is None:
        raise DataError(f"{root} has no {' or '.join(_TABLES)}", _LAYOUT, "put the table next to the images")
    rows, images = _rows(table), by_name(root, FORMATS.get("dicom").named, recursive=True)
    if not images:
        raise DataError(f"{root} has no DICOM images", _LAYOUT, "put them next to the table")
    unnamed, lone = f"images that {table.name} does not list", f"rows of {table.name} without an image"
    uids = matched(report, (images, unnamed), (rows, lone))
    if not uids:
        raise DataError(f"{root} contains no image that {table.name} lists", _LAYOUT, "use both of the same part")
    return DataSet(tuple(_RunsCase(uid, images[uid], rows[uid], table) for uid in uids))


def _rows(table: Path) -> dict[str, tuple[str, ...]]:
    try:
        with os.fdopen(open_file(table), encoding="utf-8-sig", newline="") as file:
            head, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table} cannot be read ({error})", _LAYOUT, "use the file of the challenge") from error
    if head != ["ImageId", "EncodedPixels"]:
        raise DataError(f"{table} has the columns {', '.join(head)}", "ImageId, EncodedPixels", "correct the table")
    found: dict[str, list[str]] = {}
    for row in rows:
        if len(row) != 2 or not all(row):
            raise DataError(f"{table} has the row {row}", "ImageId, EncodedPixels", "correct the table")
        found.setdefault(row[0], []).append(row[1])
    for uid, runs in found.items():
        if _NONE in runs and len(runs) > 1:
            raise DataError(f"{table} gives {_NONE} and runs for {uid}", f"runs or one {_NONE}", "correct the table")
    return {uid: () if runs == [_NONE] else tuple(runs) for uid, runs in found.items()}


def decode_runs(text: str, shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """Decode runs "GAP LENGTH GAP LENGTH …", counted down the columns, to a mask `(H, W)`.

    Raises:
        DataError: if the text is not pairs of numbers, or a run ends outside the image.
    """
    form = "pairs GAP LENGTH with GAP from 0 and LENGTH from 1"
    try:
        numbers = np.array([int(word) for word in text.split()], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name} has the runs {text[:40]!r}", form, "correct the table") from error
    if not len(numbers) or len(numbers) % 2 or (numbers[::2] < 0).any() or (numbers[1::2] < 1).any():
        raise DataError(f"{name} has the runs {text[:40]!r}", form, "correct the table")
    ends = np.cumsum(numbers)[1::2]
    if numbers.max() > shape[0] * shape[1] or ends[-1] > shape[0] * shape[1]:
        problem = f"{name} has runs up to pixel {ends[-1]}, but the image has {shape[0] * shape[1]} px"
        raise DataError(problem, "", "use the table and the images of the same part")
    mask = np.zeros(shape[0] * shape[1], bool)
    for end, length in zip(ends.tolist(), numbers[1::2].tolist(), strict=True):
        mask[end - length : end] = True
    return mask.reshape(shape[::-1]).T
