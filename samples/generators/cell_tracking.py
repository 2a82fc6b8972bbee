"""Sequences of cells in the layout of the Cell Tracking Challenge; every second frame is annotated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cells import field
from ..shapes import bytes_of, put
from .short import TINY, Short, brighter_than_the_middle

SIZE = 128
SEQUENCES = ("01", "02")
SHORT = Short(
    (*TINY, "--steps", "120"),
    12,
    brighter_than_the_middle,
    "a threshold in the middle of the grey range",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` annotated frames in two sequences, each followed by a frame without annotation."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        sequence, frame = SEQUENCES[number % 2], number // 2 * 2
        picture, instances = field(SIZE, SIZE // 5, rng)
        put(root / sequence / f"t{frame:03}.tif", picture)
        put(root / sequence / f"t{frame + 1:03}.tif", bytes_of(picture + rng.normal(0, 3, picture.shape)))
        put(root / f"{sequence}_GT" / "SEG" / f"man_seg{frame:03}.tif", instances)
