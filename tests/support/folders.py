"""Folders of images and masks, as seg-train takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seg_toolkit.data import Case, ClassValues
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.planning import DataStatistics

from .contracts import TWO as INFOS
from .images import disc, put

TWO = tuple(ClassValues(info, (value,)) for info, value in zip(INFOS, (0, 255), strict=True))
# options of a training that takes a second
SMALL = ("--width", "2", "--input-size", "204", "--workers", "0", "--geometry", "fit", "--device", "cpu")


def write_pairs(root: Path, count: int = 3) -> Path:
    """Small valid folder: `images/a0.png` … with `masks/a0.png` …."""
    for i in range(count):
        mask = disc(radius=7.0 + i)
        put(root / "images" / f"a{i}.png", (mask // 2 + 20).astype(np.uint8))
        put(root / "masks" / f"a{i}.png", mask)
    return root


def cases_of(reader: str, root: Path, report: Callable[[str], None] = print) -> list[Case]:
    """The cases of a data set."""
    return list(read_data_set(reader, root, report).cases)


def write_discs(root: Path, *images: NDArray[np.generic], suffix: str = "png") -> Path:
    """A folder of these images, each with the mask of a disc in its middle."""
    for number, image in enumerate(images):
        put(root / "images" / f"{number}.{suffix}", image)
        put(root / "masks" / f"{number}.png", disc(image.shape[0]))
    return root


def texture(height: float, dtype: type = np.uint8, size: int = 40) -> NDArray[np.generic]:
    """Noise from 0 to `height`."""
    return (np.random.default_rng(0).random((size, size)) * height).astype(dtype)


def seen(root: Path, output_px: int = 388) -> DataStatistics:
    """What training looks at before it chooses, of a folder with two classes."""
    return DataStatistics.of(read_data_set("pairs", root, print), TWO, output_px)


def listing(folder: str = "out") -> list[str]:
    """The files in a folder and its subfolders."""
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())
