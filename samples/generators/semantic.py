"""Images of cells, as images/ and masks/."""

from __future__ import annotations

from pathlib import Path

from ..cells import write_folder
from .short import Short, brighter_than_the_middle

SHORT = Short(
    ("--width", "4", "--steps", "60", "--input-size", "252", "--batch-size", "4"),
    10,
    brighter_than_the_middle,
    "a threshold in the middle of the grey range",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` fields."""
    write_folder(root, count, 128, seed)
