"""Data sets, cases and examples."""

from __future__ import annotations

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, stem_of
from seg_runtime.model import Acquisition, ChannelFile, Voxels
from seg_runtime.support import METADATA_BYTES, DataError, ImageError, SegError, parse_pixel_size, read_file

from .classes import ClassValues
from .files import composed
from .groups import Groups
from .masks import Mask

INSTANCES = "instances"
"""Masks whose values are object ids."""
FEW_IMAGES = 10
"""With fewer images, a score says little about new ones."""
LABELS, VALUES = "labels", "values"
"""Kinds of ground truth: a class per pixel, or numbers per pixel."""
_MOST_AXES = 3


@dataclass(frozen=True)
class Example:
    """A case in memory, at the size of the image. `spatial` is `(H, W)` or `(D, H, W)`.

    Attributes:
        image: `(*spatial, C)` as the runtime reads it.
        labels: `(*spatial)` uint8 class indices.
        instances: `(*spatial)` int32, object ids from 1; None if the data set has none.
        known: `(*spatial)` bool, annotated pixels; None for all. Other pixels have weight 0.
        plain: labels before a ring was added, see `ring.py`; None without a ring.
        targets: `(*spatial, K)` float32, regression targets in their own units; None for labels. With targets, all labels
            are 0.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32] | None = None
    known: NDArray[np.bool_] | None = None
    plain: NDArray[np.uint8] | None = None
    targets: NDArray[np.float32] | None = None

    @classmethod
    def of_values(cls, image: NDArray[Any], targets: NDArray[Any]) -> Example:
        """Make an example for regression from targets `(*spatial, K)` of any dtype."""
        none = np.broadcast_to(np.uint8(0), targets.shape[:-1])
        return cls(image, none, targets=targets.astype(np.float32, copy=False))

    def checked(self, name: str) -> Example:
        """Return the example after checking its sizes.

        Raises:
            SizeError: if image and ground truth differ in size.
        """
        shape = self.image.shape[:-1]
        truth = "a mask" if self.targets is None else "a target"
        for what, got in ((truth, self.labels), ("instances", self.instances), ("annotation", self.known)):
            if got is not None and got.shape != shape:
                problem = f"{name} has an image of {sized(shape)} px and {what} of {sized(got.shape)} px"
                if got.shape == shape[::-1]:
                    raise SizeError(f"{problem}, turned by 90°", "equal sizes", "turn one of them")
                raise SizeError(problem, "equal sizes", "export both again")
        return self


class SizeError(DataError):
    """An image and its ground truth differ in size."""


class Case(ABC):
    """One image with its ground truth. Files are read when they are needed. Cases must be picklable for worker processes.

    Attributes:
        name: name of the case, unique in its data set.
    """

    name: str

    @abstractmethod
    def image(self) -> NDArray[Any]:
        """Read the image `(*spatial, C)` as the runtime does, without the ground truth."""

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired, as far as its file states it."""
        return Acquisition()

    @abstractmethod
    def values(self) -> dict[int, str]:
        """All values of the mask, each with a file that contains it; empty if the ground truth is not a mask."""

    @abstractmethod
    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth.

        Raises:
            DataError: if they differ in size, or the mask contains a value that belongs to no class.
        """

    def mask(self, colours: bool = False) -> Mask | None:
        """Read the mask as it is stored, to check it before a training; None if the ground truth is not a mask file.

        Args:
            colours: read colours instead of values, see `load_mask`.
        """
        return None

    def with_masks(self, kind: str) -> Case:
        """Return the case with its mask read in another way: `instances`, object ids; or `alpha`, the transparency.

        Raises:
            SegError: if there is no mask file.
        """
        raise SegError(f"the reader has masks={kind}, but {self.name} has no mask file", "", "leave out masks")


@dataclass(frozen=True)
class WrappedCase(Case):
    """A case whose ground truth is that of another one with a change, which subclasses make."""

    name: str
    inner: Case

    def image(self) -> NDArray[Any]:
        """Read the image."""
        return self.inner.image()

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return self.inner.acquisition()

    def mask(self, colours: bool = False) -> Mask | None:
        """Read the mask as it is stored."""
        return self.inner.mask(colours)

    def with_masks(self, kind: str) -> Case:
        """Return the case with its mask read in another way."""
        return replace(self, inner=self.inner.with_masks(kind))


@dataclass(frozen=True)
class _SizedCase(WrappedCase):
    """A case whose pixels have a given size."""

    spacing_mm: tuple[float, ...]

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired, with the given size of a pixel, even if channels state different ones."""
        known = Acquisition()
        with contextlib.suppress(ImageError):  # of a file that cannot be read, which reading the image raises too
            known = self.inner.acquisition()
        return replace(known, spacing_mm=self.spacing_mm, spacing_doubt="")

    def values(self) -> dict[int, str]:
        """All values of the mask."""
        return self.inner.values()

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        return self.inner.read(classes)


def image_digest(image: NDArray[Any]) -> str:
    """Compute the SHA-256 of a decoded image `(*spatial, C)`, so that a renamed or saved again copy has the same digest.

    >>> image_digest(np.zeros((2, 2, 1), np.uint8)) == image_digest(np.zeros((2, 2, 1), np.uint16))
    False
    """
    digest = hashlib.sha256(f"{image.shape} {image.dtype.name}\n".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def sized(shape: Sequence[int]) -> str:
    """Format a size with the width first: 512×300."""
    return "×".join(str(n) for n in reversed(shape))


@dataclass(frozen=True)
class DataSet:
    """A data set, as a reader returns it.

    Attributes:
        cases: cases, sorted by name.
        truth: kind of ground truth, `labels` or `values`.
        outputs: names of the K values of `Example.targets`; empty for labels.
        channel_files: files of an image, one per channel, as in the contract; empty if an image is one file.
        voxels: grid for structures, as in the contract; None for images and volumes.
        instances_only: whether the ground truth is object ids without masks.
        classes: classes that the data set names; empty if it does not.
        reader: value of `--reader`, such as `pets:split=test`.
    """

    cases: tuple[Case, ...]
    truth: str = LABELS
    outputs: tuple[str, ...] = ()
    channel_files: tuple[ChannelFile, ...] = ()
    voxels: Voxels | None = None
    instances_only: bool = False
    classes: tuple[ClassValues, ...] = ()
    reader: str = ""

    def with_masks(self, kind: str) -> DataSet:
        """Read the masks in another way, see `Case.with_masks`."""
        cases = tuple(case.with_masks(kind) for case in self.cases)
        return replace(self, cases=cases, instances_only=self.instances_only or kind == INSTANCES)

    def with_pixel_size(self, text: str) -> DataSet:
        """State the size of a pixel of all images, such as `0.325um`; see `parse_pixel_size`.

        Raises:
            OptionsError: if it is no size.
        """
        sides = parse_pixel_size(text)
        sides = sides if len(sides) > 1 else sides * _MOST_AXES  # an image takes the last ones
        return replace(self, cases=tuple(_SizedCase(case.name, case, sides) for case in self.cases))

    def mask_values(self) -> dict[int, str]:
        """All values that occur in the masks, each with a file that contains it."""
        found: dict[int, str] = {}
        for case in self.cases:
            found = {**case.values(), **found}
        return found

    def listed(self, path: Path) -> DataSet:
        """Select the cases that a text file lists, one per line, by case name or file name.

        A JSON file with an entry `validation`, such as the `.split.json` of a training, lists the names of that entry.

        Raises:
            DataError: if the list cannot be read, is empty, or names an unknown case.
        """
        try:
            text = read_file(path, METADATA_BYTES).decode("utf-8-sig")
            split = json.loads(text) if text.lstrip().startswith("{") else None
            lines = text.splitlines() if split is None else [str(name) for name in split["validation"]]
        except FileNotFoundError as error:
            raise DataError(f"--val-list {path} does not exist", "a text file", "check the path") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"--val-list {path} cannot be read ({error})"
            expected = "a text file with one name per line, or the .split.json of a model"
            raise DataError(problem, expected, "check the path") from error
        names = {_name_in_list(line.strip()) for line in lines if line.strip()}
        if not names:
            raise DataError(f"--val-list {path} is empty", "names of images in DATA", "add the names")
        if missing := sorted(names - {case.name for case in self.cases}):
            raise DataError(f"--val-list names {missing[0]!r}, which is not in DATA", "", "correct the list")
        return replace(self, cases=tuple(case for case in self.cases if case.name in names))

    def split(
        self, fraction: float, list_file: Path | None, seed: int, groups: Groups | None = None, fold: str | None = None,
    ) -> tuple[list[Case], list[Case]]:  # fmt: skip
        """Split into training and validation cases, by a list of names or at random with a seed.

        Args:
            fraction: share of the validation cases.
            list_file: names of the validation cases; None to draw them.
            seed: seed of the drawing.
            groups: cases that are drawn together; a list may part them.
            fold: part of a cross-validation that is for validation, such as `1/5`; None to use the fraction.

        Raises:
            DataError: if one of the parts is empty, or for the reasons of `listed`.
        """
        groups, every = groups or Groups(), [case.name for case in self.cases]
        if list_file is not None:
            names = {case.name for case in self.listed(list_file).cases}
        elif fold:
            place, count = fold.split("/")
            names = groups.fold(every, int(place), int(count), seed)
        else:
            names = groups.drawn(every, fraction, seed)
        training = [case for case in self.cases if case.name not in names]
        validation = [case for case in self.cases if case.name in names]
        if not training or not validation:
            problem = f"the split gives {len(training)} images for training and {len(validation)} for validation"
            raise DataError(problem, "at least one of each", "add images or change the split")
        return training, validation


def _name_in_list(listed: str) -> str:
    """Name of a case that a text file lists by case name or file name."""
    path = Path(listed)
    name = stem_of(path) if any(f.named(path) for f in FORMATS.all()) else path.name
    return composed(str(PurePosixPath(*path.parts[:-1], name)))
