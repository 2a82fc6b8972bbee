"""Fields of nuclei that touch, as images and instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import components

from ..cells import field
from ..shapes import put
from .short import TINY, Short, brighter_than_the_middle

SIZE = 128


def parts_brighter_than_the_middle(image: NDArray[Any]) -> NDArray[np.int32]:
    """Connected parts of `brighter_than_the_middle`, and their class, `(2, H, W)`."""
    labels = brighter_than_the_middle(image)
    return np.stack([components(labels), labels.astype(np.int32)])


SHORT = Short(
    (*TINY, "--steps", "150"),
    12,
    parts_brighter_than_the_middle,
    "connected parts above a threshold in the middle of the grey range",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` fields as `images/` and `instances/`."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture, instances = field(SIZE, SIZE // 3, rng, touching=True)
        put(root / "images" / f"{number:03}.png", picture)
        put(root / "instances" / f"{number:03}.png", instances)
