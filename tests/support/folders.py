"""Folders of images and masks, as seg-train takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from seg_toolkit.data import Case, ClassValues
from seg_toolkit.data.readers import read_data_set

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
