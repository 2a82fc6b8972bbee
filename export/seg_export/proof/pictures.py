"""Real images that export looks at: of a data set as the checkpoint was trained on, or of any folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import image_files, whole_image
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array, Float
from seg_runtime.pipeline.fit import fitted
from seg_runtime.support.errors import DataError
from seg_toolkit.data.case import Case
from seg_toolkit.data.folder import ClassValues
from seg_toolkit.data.readers import PAIRS, find_cases

from .parity import evenly, some_windows

WINDOWS_PER_IMAGE = 2
OPEN = (PAIRS, "channels")
"""Readers whose images may lie in a folder without any truth."""


@dataclass(frozen=True)
class Picture:
    """An image and, where it is of a data set, its truth; nothing is read before it is asked for."""

    name: str
    source: tuple[Path, ...] | Case

    def whole(self, contract: Contract) -> Array:
        """`(*spatial, C)` as the model takes it.

        Raises:
            ImageError, DataError: it cannot be read, or does not fit the model.
        """
        image = self.source.image() if isinstance(self.source, Case) else whole_image(self.source, contract)
        return fitted(image, contract, self.name)

    def part(self, contract: Contract) -> Array:
        """The same; of a volume, for a model of slices, the middle one, which is enough where a part of each image is."""
        image = self.whole(contract)
        return image[len(image) // 2] if image.ndim - 1 > len(contract.geometry.input_shape) else image

    def read(self, contract: Contract, classes: Sequence[ClassValues]) -> tuple[Array, NDArray[np.uint8] | None]:
        """`whole`, and the true labels `(*spatial)` or None."""
        if isinstance(self.source, Case):
            example = self.source.read(classes)
            return fitted(example.image, contract, self.name), example.labels
        return self.whole(contract), None


def pictures(folder: Path, contract: Contract, reader: str = PAIRS, option: str = "") -> list[Picture]:
    """All images of a folder, sorted by name.

    A folder in the layout of the checkpoint's reader is such a data set: its cases are taken, with their truth. Any other is
    a folder of images, in itself or in its subfolder `images`.

    Args:
        folder: to look into.
        contract: of the checkpoint.
        reader: of the checkpoint, so that truth means what it meant in training.
        option: that named the folder, for errors.

    Raises:
        DataError: no such folder, or neither.
        ImageError: a case that lacks a channel.
    """
    if not folder.is_dir():
        raise DataError(f"{option} {folder} is no folder".lstrip(), "a folder of images", "check the path")
    no_data_set = ""
    if reader.partition(":")[0] not in OPEN or any((folder / part).is_dir() for part in ("masks", "instances")):
        try:
            return [Picture(case.name, case) for case in find_cases(reader, folder, lambda note: None)]
        except DataError as error:
            if reader.partition(":")[0] in OPEN:
                raise
            no_data_set = error.came
    try:
        return [Picture(str(files[0]), files) for files in image_files(folder, contract)]
    except DataError as error:
        if not no_data_set:
            raise
        wanted = f"a data set of the reader {reader}, or images"
        raise DataError(f"{error.came}, and {no_data_set}", wanted, "check the path") from error


def some(found: Sequence[Picture], count: int) -> list[Picture]:
    """At most `count` of them, evenly spaced."""
    return [found[i] for i in evenly(len(found), count)]


def image_windows(found: Sequence[Picture], contract: Contract, per_image: int = WINDOWS_PER_IMAGE) -> Iterator[Float]:
    """Windows of real images, cut and normalised by the runtime: the first and evenly spaced further ones of each."""
    for picture in found:
        yield from some_windows(picture.part(contract), contract, per_image)
