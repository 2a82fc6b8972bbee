"""Data sets, their cases, and what a case holds."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, stem_of
from seg_runtime.model import ChannelFile, Voxels
from seg_runtime.support import DataError

from .classes import ClassValues

LABELS, VALUES = "labels", "values"
"""Kinds of truth: a class for each pixel, or numbers for each pixel."""


@dataclass(frozen=True)
class Example:
    """A case in memory, at the image's own size. `spatial` is `(H, W)` or `(D, H, W)`.

    Attributes:
        image: `(*spatial, C)` as the runtime reads it.
        labels: `(*spatial)` uint8 class indices.
        instances: `(*spatial)` int32, object ids from 1; None where the data set has none.
        known: `(*spatial)` bool, annotated pixels; None for all. Other pixels have weight 0.
        plain: the labels before a ring was drawn into them, see `ring.py`; None where there is no ring.
        targets: `(*spatial, K)` float32, the values that a regression learns, in their own units; None where the truth is
            labels. With targets the labels are 0.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32] | None = None
    known: NDArray[np.bool_] | None = None
    plain: NDArray[np.uint8] | None = None
    targets: NDArray[np.float32] | None = None

    @classmethod
    def of_values(cls, image: NDArray[Any], targets: NDArray[Any]) -> Example:
        """An example of a regression: targets `(*spatial, K)` of any dtype, their values kept."""
        none = np.broadcast_to(np.uint8(0), targets.shape[:-1])
        return cls(image, none, targets=targets.astype(np.float32, copy=False))

    def checked(self, name: str) -> Example:
        """The example itself.

        Raises:
            DataError: image and ground truth differ in size.
        """
        shape = self.image.shape[:-1]
        truth = "mask" if self.targets is None else "target"
        for what, got in ((truth, self.labels), ("instances", self.instances), ("annotation", self.known)):
            if got is not None and got.shape != shape:
                problem = f"{name}: image of {sized(shape)}, {what} of {sized(got.shape)} px"
                raise DataError(problem, "one size", "export them again")
        return self


class Case(ABC):
    """One image with its ground truth. Files are read only when they are needed. Cases are sent to worker processes.

    Attributes:
        name: unique in its data set.
    """

    name: str

    @abstractmethod
    def image(self) -> NDArray[Any]:
        """`(*spatial, C)` as the runtime reads it, without the ground truth."""

    @abstractmethod
    def values(self) -> dict[int, str]:
        """All values of the mask, each with a file that holds it; empty where the truth is not a mask."""

    @abstractmethod
    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth.

        Raises:
            DataError: they differ in size, or the mask holds a value that no class lists.
        """


def sized(shape: Sequence[int]) -> str:
    """A size as people write it: width first, 512×300."""
    return "×".join(str(n) for n in reversed(shape))


@dataclass(frozen=True)
class DataSet:
    """What a reader returns.

    Attributes:
        cases: sorted by name.
        truth: the kind of answer that it teaches, `labels` or `values`.
        outputs: names of the values, the K of `Example.targets`; empty where the truth is labels.
        channel_files: as in the contract: the files of an image, one a channel; empty where an image is one file.
        voxels: as in the contract: the grid that structures become; None for images and volumes.
        instances_only: the truth is objects with ids, without masks.
        spacing_mm: distance between pixels along each spatial axis; None where it is unknown.
        reader: the text that it was read by, `pets:split=test`.
    """

    cases: tuple[Case, ...]
    truth: str = LABELS
    outputs: tuple[str, ...] = ()
    channel_files: tuple[ChannelFile, ...] = ()
    voxels: Voxels | None = None
    instances_only: bool = False
    spacing_mm: tuple[float, ...] | None = None
    reader: str = ""

    def mask_values(self) -> dict[int, str]:
        """All values that occur in the masks, each with a file that holds it."""
        found: dict[int, str] = {}
        for case in self.cases:
            found = {**case.values(), **found}
        return found

    def listed(self, path: Path) -> DataSet:
        """The part whose cases a text file names, one a line, as a name or a file's name.

        Raises:
            DataError: the list cannot be read, names nothing, or names something else.
        """
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"--val-list {path} cannot be read ({error})"
            raise DataError(problem, "a text file, one name a line", "check the path") from error
        names = {_name_in_list(line.strip()) for line in lines if line.strip()}
        if not names:
            raise DataError(f"--val-list {path} names nothing", "names of images in DATA", "correct the list")
        if missing := sorted(names - {case.name for case in self.cases}):
            raise DataError(f"--val-list names {missing[0]!r}", "names of images in DATA", "correct the list")
        return replace(self, cases=tuple(case for case in self.cases if case.name in names))

    def split(self, fraction: float, list_file: Path | None, seed: int) -> tuple[list[Case], list[Case]]:
        """Training and validation cases, by a list of names or by a seeded draw of at least one.

        Raises:
            DataError: no case for one of both, or a list that is wrong, see `listed`.
        """
        if list_file is not None:
            names = {case.name for case in self.listed(list_file).cases}
        else:
            names = _drawn([case.name for case in self.cases], fraction, seed)
        training = [case for case in self.cases if case.name not in names]
        validation = [case for case in self.cases if case.name in names]
        if not training or not validation:
            problem = f"{len(training)} images for training and {len(validation)} for validation"
            raise DataError(problem, "at least one of each", "add images or change the split")
        return training, validation


def _drawn(names: Sequence[str], fraction: float, seed: int) -> set[str]:
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    return set(shuffled[: max(1, round(len(names) * fraction))])


def _name_in_list(listed: str) -> str:
    """The name of a case that a text file lists as such or as a file."""
    path = Path(listed)
    return stem_of(path) if any(f.named(path) for f in FORMATS.all()) else path.name
