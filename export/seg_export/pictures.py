"""Real images from a data set in the layout of the training, or from any folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, group, read_bytes, stacked
from seg_runtime.model import Contract
from seg_runtime.pipeline import Array, fitted
from seg_runtime.support import DataError, list_files
from seg_toolkit.data import Case, ClassValues
from seg_toolkit.data.readers import PAIRS, fits, read_data_set

from .proof import Picture

OPEN = (PAIRS, "channels")
"""Readers whose images may be in a folder without ground truth."""


@dataclass(frozen=True)
class _OfDataSet(Picture):
    name: str
    source: Case
    classes: Sequence[ClassValues]

    def whole(self, contract: Contract) -> Array:
        return fitted(self.source.image(), contract, self.name)

    def with_truth(self, contract: Contract) -> tuple[Array, NDArray[np.uint8] | None]:
        example = self.source.read(self.classes)
        return fitted(example.image, contract, self.name), example.labels


@dataclass(frozen=True)
class _OfFolder(Picture):
    name: str
    source: tuple[Path, ...]

    def whole(self, contract: Contract) -> Array:
        return fitted(_first_page(self.source, contract), contract, self.name)


def pictures(
    folder: Path, contract: Contract, reader: str = PAIRS, classes: Sequence[ClassValues] = (), option: str = "",
) -> Sequence[Picture]:  # fmt: skip
    """List all images of a folder, sorted by name.

    If the folder has the layout of the reader, its cases are used with their ground truth. Otherwise, the images in the
    folder or in its subfolder `images` are used; if there are none, those in deeper folders.

    Args:
        folder: folder to search.
        contract: contract of the checkpoint.
        reader: reader of the checkpoint, so that the ground truth has the same meaning as in training.
        classes: classes of the checkpoint, to read masks.
        option: option that names the folder, for errors.

    Raises:
        DataError: if the folder does not exist, or contains neither a data set nor images.
        ImageError: if a case lacks a channel.
    """
    if not folder.is_dir():
        raise DataError(f"{option} {folder} is not a folder".lstrip(), "a folder of images", "check the path")
    name, no_data_set = reader.partition(":")[0], ""
    with_truth = any((folder / part).is_dir() for part in ("masks", "instances")) or fits(reader, folder)
    if name not in OPEN or with_truth:
        try:
            found = read_data_set(reader, folder, lambda note: None)
            return [_OfDataSet(case.name, case, classes) for case in found.cases]
        except DataError as error:
            if name in OPEN:
                raise
            no_data_set = error.problem
    try:
        return [_OfFolder(str(files[0]), files) for files in _image_files(folder, contract)]
    except DataError as error:
        if not no_data_set:
            raise
        expected = f"images or a data set of the reader {reader}"
        raise DataError(f"{error.problem}, and {no_data_set}", expected, "check the path") from error


def _image_files(folder: Path, contract: Contract) -> list[tuple[Path, ...]]:
    """List the images that a model takes, sorted, one file each or one per channel.

    They are in a folder or its subfolder `images`. If there are none, deeper folders are searched; they are left out
    otherwise, because they may hold results.

    Raises:
        DataError: if the folder does not exist or contains no images.
        ImageError: if a file is not a channel of a case, or a case lacks a channel.
    """
    inner = folder / "images"
    formats = FORMATS.of_model(contract)
    place = inner if inner.is_dir() else folder
    listed = (list_files(place, recursive) for recursive in (False, True))
    found = next(filter(None, ([p for p in paths if any(f.named(p) for f in formats)] for paths in listed)), [])
    if not found:
        known = ", ".join(suffix for f in formats for suffix in f.suffixes)
        raise DataError(f"{folder} has no images", f"a folder with {known} files", "check the path")
    if not contract.input.channel_files:
        return [(path,) for path in found]
    cases, failed = group(found, contract.input.channel_files)
    if failed:
        raise failed[0][1]
    return list(cases.values())


def _first_page(files: Sequence[Path], contract: Contract) -> Array:
    """Read the first page of a file, see `FORMATS.pages`, or stack several files as channels."""
    images = [next(FORMATS.pages(read_bytes(path), str(path), contract)).array for path in files]
    names = [str(path) for path in files]
    return images[0] if len(images) == 1 else stacked(images, names, contract.input.channel_files)
