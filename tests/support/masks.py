"""Masks in the many ways in which programs save them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_toolkit.data import ClassValues, DataSet
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.options import TrainOptions
from seg_toolkit.training.objectives.labels import LabelObjective

from .images import put

Mask = NDArray[np.bool_]
Write = Callable[[Path, Mask, int], object]
"""Writes a mask below a path without suffix; the number counts the masks of a set."""
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)
INSIDE_PX = 317  # px of a disc of radius 10


def disc_at(number: int) -> Mask:
    """A disc of radius 10, at another place in each mask `(64, 80)`."""
    y, x = np.mgrid[:64, :80]
    inside: Mask = (y - 30) ** 2 + (x - 30 - 3 * number) ** 2 <= 100
    return inside


def several(number: int, count: int) -> NDArray[np.uint8]:
    """Squares of 4 px in a row, numbered from 1 in an order that differs between masks."""
    ids = np.zeros((64, 80), np.uint8)
    for place, value in enumerate(np.random.default_rng(number).permutation(count)):
        ids[10 + 3 * number : 14 + 3 * number, 8 * place + 2 : 8 * place + 6] = value + 1
    return ids


def with_palette(indices: NDArray[np.integer], *colours: tuple[int, int, int]) -> Image.Image:
    """A palette image."""
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette([part for colour in colours for part in colour])
    return picture


def write_set(root: Path, write: Write, count: int = 4) -> Path:
    """A folder of images with masks."""
    for number in range(count):
        mask = disc_at(number)
        put(root / "images" / f"{number}.png", (mask * 150 + 40).astype(np.uint8))
        (root / "masks").mkdir(exist_ok=True)
        write(root / "masks" / str(number), mask, number)
    return root


def chosen(
    root: Path, classes: str | None = None, reader: str = "", ignore: str = ""
) -> tuple[DataSet, tuple[ClassValues, ...], list[str]]:
    """What a training reads from a folder: the data set, the classes, and the lines for the user."""
    said: list[str] = []
    data = read_data_set(reader, root, said.append, {"ignore": ignore} if ignore else {})
    data, found = LabelObjective.choose_classes(data, TrainOptions(classes=classes), said.append)
    return data, found, said


def foreground_px(root: Path, classes: str | None = None, reader: str = "") -> int:
    """Pixels of the second class in the first case."""
    data, found, _ = chosen(root, classes, reader)
    return int((data.cases[0].read(found).labels == 1).sum())
