"""A data set: its cases, and the facts that hold for all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seg_runtime.model import ChannelFile, Voxels
from seg_runtime.support import DataError

from .case import Case
from .files import name_in_list

LABELS, VALUES = "labels", "values"
"""Kinds of truth: a class for each pixel, or numbers for each pixel."""


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
            DataError: the list cannot be read, or names something else.
        """
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            came = f"--val-list {path} cannot be read ({error})"
            raise DataError(came, "a text file, one name a line", "check the path") from error
        names = {name_in_list(line.strip()) for line in lines if line.strip()}
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
            came = f"{len(training)} images for training and {len(validation)} for validation"
            raise DataError(came, "at least one of each", "add images or change the split")
        return training, validation


def _drawn(names: Sequence[str], fraction: float, seed: int) -> set[str]:
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    return set(shuffled[: max(1, round(len(names) * fraction))])
