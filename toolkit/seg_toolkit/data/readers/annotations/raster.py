"""Outlines and run lengths as masks, and the cases that are made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model import Acquisition
from seg_runtime.support import DataError, open_file

from ... import Case, ClassValues, DataSet, Example, acquisition_of, read_image, to_labels

_HEAD = 65536
Shape = tuple[int, int]
Fill = Callable[[Shape], NDArray[np.bool_]]
"""Takes the shape of the image; returns the mask of an object."""


@dataclass(frozen=True)
class Outlines:
    """The area of an object: the union of polygons.

    Attributes:
        polygons: corners `(x, y)` of each polygon in px; (0, 0) is the upper left corner of the first pixel.
    """

    polygons: tuple[tuple[tuple[float, float], ...], ...]

    def __call__(self, shape: Shape) -> NDArray[np.bool_]:
        """Mark the pixels whose centre lies in a polygon."""
        mask = np.zeros(shape, bool)
        for polygon in self.polygons:
            mask |= filled(np.array(polygon, np.float64), shape)
        return mask


@dataclass(frozen=True)
class Runs:
    """The area of an object as lengths of runs outside and inside, in turn, down the columns."""

    lengths: tuple[int, ...]
    size: Shape
    name: str

    def __call__(self, shape: Shape) -> NDArray[np.bool_]:
        """Mark the pixels.

        Raises:
            DataError: if the runs are for another size.
        """
        height, width = self.size
        if self.size != shape or sum(self.lengths) != height * width or min(self.lengths) < 0:
            problem = f"{self.name} has runs of {sum(self.lengths)} px for an image of {shape[1]}×{shape[0]} px"
            raise DataError(problem, f"runs of {shape[0] * shape[1]} px", "use annotations of this image")
        inside = np.arange(len(self.lengths)) % 2 == 1
        return np.repeat(inside, self.lengths).reshape(width, height).T


def filled(corners: NDArray[np.float64], shape: Shape) -> NDArray[np.bool_]:
    """Mark the pixels `(H, W)` whose centre lies in a polygon with corners `(N, 2)`, x before y, by the winding number."""
    height, width = shape
    steps = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = np.clip(np.ceil(np.sort([y0, y1]) - 0.5), 0, height).astype(int)
        rows = np.arange(low, high)
        if len(rows):
            crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
            steps[rows, columns] += 1 if y1 > y0 else -1
    return np.asarray(np.cumsum(steps, axis=1)[:, :width] != 0)


@dataclass(frozen=True)
class Region:
    """An annotated object.

    Attributes:
        value: mask value of its class.
        fill: its area.
        area: its size in px², by which objects are drawn, the largest first.
    """

    value: int
    fill: Fill
    area: float


@dataclass(frozen=True)
class OutlinedCase(Case):
    """An image with annotated objects. Pixels without an object are background, 0; smaller objects cover larger ones.

    Attributes:
        name: name of the case, unique in its data set.
        image_file: path of the image.
        regions: objects.
        every: mask values of all classes of the data set.
        source: file of the annotations, for errors.
        void: mask value of pixels that are not annotated; None if all are.
    """

    name: str
    image_file: Path
    regions: tuple[Region, ...]
    every: tuple[int, ...]
    source: str
    void: int | None = None

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_image(self.image_file)

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_file)

    def values(self) -> dict[int, str]:
        """Values of all classes of the data set, even if this image has none."""
        return dict.fromkeys((0, *self.every), self.source)

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read the image and draw the objects; see `Case.read`."""
        image = self.image()
        values, ids = self._drawn((image.shape[0], image.shape[1]))
        known = None if self.void is None else values != self.void
        if known is not None:
            values = np.where(known, values, classes[0].values[0])
        title = f"{self.source}, {self.image_file.name},"
        return Example(image, to_labels(values, classes, title), ids, known).checked(self.name)

    def _drawn(self, shape: Shape) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Draw mask values and object ids."""
        values, ids = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
        for number, region in enumerate(sorted(self.regions, key=lambda region: -region.area), 1):
            inside = region.fill(shape)
            values[inside] = region.value
            ids[inside] = 0 if region.value in (0, self.void) else number
        return values, ids


def head_of(path: Path) -> bytes:
    """Read the beginning of a JSON file, which shows its kind; empty if it cannot be read."""
    try:
        with os.fdopen(open_file(path), "rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""


def data_set(cases: Sequence[Case], names: Mapping[str, int], reader: str = "") -> DataSet:
    """Make a data set whose classes are the background and the names, with their mask values."""
    return DataSet(
        tuple(cases), reader=reader,
        classes=ClassValues.named({"background": (0,), **{name: (value,) for name, value in names.items()}}),
    )  # fmt: skip
