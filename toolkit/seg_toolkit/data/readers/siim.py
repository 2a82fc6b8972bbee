"""The SIIM-ACR pneumothorax challenge: chest radiographs in DICOM, masks as run lengths in a table.

    dicom-images-train/STUDY/SERIES/IMAGE.dcm     1024×1024, 8 bits; the three are UIDs
    train-rle.csv                                 "ImageId, EncodedPixels": UID of the image, runs of the pneumothorax
                                                  or -1 for none; an image with several has as many rows

Runs are pairs "GAP LENGTH": so many pixels are skipped, counted from the end of the run before, then so many are marked.
Pixels go down the first column, then down the second, and so on.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS
from seg_runtime.support import DataError

from .. import Case, ClassValues, DataSet, Example, Report, by_name, matched, read_image, to_labels

_TABLES = ("train-rle.csv", "stage_2_train.csv")
_LAYOUT = "IMAGE.dcm in any folders below and train-rle.csv with the columns ImageId, EncodedPixels"
_NONE = "-1"


@dataclass(frozen=True)
class _RunsCase(Case):
    """A radiograph and the runs of its mask: 0 elsewhere, 1 within."""

    name: str
    image_file: Path
    runs: tuple[str, ...]
    """Of the rows of the table; empty where there is no pneumothorax."""
    table: Path

    def image(self) -> NDArray[Any]:
        """`(H, W, C)`."""
        return read_image(self.image_file)

    def values(self) -> dict[int, str]:
        """Both, whether this case holds them or not."""
        return {0: str(self.table), 1: str(self.table)}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`.

        Raises:
            DataError: runs of another form, or that end beyond the image.
        """
        image = self.image()
        mask = np.zeros(image.shape[:2], bool)
        for row in self.runs:
            mask |= decode_runs(row, (image.shape[0], image.shape[1]), f"{self.table}, {self.name}")
        return Example(image, to_labels(mask.astype(np.int64), classes, f"{self.table}, {self.name},"))


def find_siim(root: Path, report: Report) -> DataSet:
    """The radiographs that the table names.

    Raises:
        DataError: no table, no images, a table of another form, or two images of one UID.
    """
    table = next((root / name for name in _TABLES if (root / name).is_file()), None)
    if table is None:
        raise DataError(f"{root} has no {' or '.join(_TABLES)}", _LAYOUT, "put the table beside the images")
    rows, images = _rows(table), by_name(root, FORMATS.get("dicom").named, recursive=True)
    if not images:
        raise DataError(f"{root} has no DICOM images", _LAYOUT, "put them beside the table")
    unnamed, lone = f"images that {table.name} does not name", f"of {table.name} without an image"
    uids = matched(report, (images, unnamed), (rows, lone))
    if not uids:
        raise DataError(f"no image in {root} is one that {table.name} names", _LAYOUT, "take both of one part")
    return DataSet(tuple(_RunsCase(uid, images[uid], rows[uid], table) for uid in uids))


def _rows(table: Path) -> dict[str, tuple[str, ...]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            head, *rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row] or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{table} cannot be read ({error})", _LAYOUT, "take the file of the challenge") from error
    if head != ["ImageId", "EncodedPixels"]:
        raise DataError(f"{table} has the columns {', '.join(head)}", "ImageId, EncodedPixels", "correct the table")
    found: dict[str, list[str]] = {}
    for row in rows:
        if len(row) != 2 or not all(row):
            raise DataError(f"{table} has the row {row}", "ImageId, EncodedPixels", "correct the table")
        found.setdefault(row[0], []).append(row[1])
    for uid, runs in found.items():
        if _NONE in runs and len(runs) > 1:
            raise DataError(f"{table} says of {uid} {_NONE}, and more", f"runs, or one {_NONE}", "correct the table")
    return {uid: () if runs == [_NONE] else tuple(runs) for uid, runs in found.items()}


def decode_runs(text: str, shape: tuple[int, int], name: str) -> NDArray[np.bool_]:
    """The mask `(H, W)` of runs "GAP LENGTH GAP LENGTH …", down the columns.

    Raises:
        DataError: not pairs of numbers, or pixels beyond the image.
    """
    form = "pairs GAP LENGTH, from 0 and from 1"
    try:
        numbers = np.array([int(word) for word in text.split()], np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{name} has the runs {text[:40]!r}", form, "correct the table") from error
    if not len(numbers) or len(numbers) % 2 or (numbers[::2] < 0).any() or (numbers[1::2] < 1).any():
        raise DataError(f"{name} has the runs {text[:40]!r}", form, "correct the table")
    ends = np.cumsum(numbers)[1::2]
    if numbers.max() > shape[0] * shape[1] or ends[-1] > shape[0] * shape[1]:
        problem = f"{name} has runs up to px {ends[-1]}"
        raise DataError(problem, f"{shape[0] * shape[1]} px as the image has", "take table and images of one part")
    mask = np.zeros(shape[0] * shape[1], bool)
    for end, length in zip(ends.tolist(), numbers[1::2].tolist(), strict=True):
        mask[end - length : end] = True
    return mask.reshape(shape[::-1]).T
