"""Generated images of objects that touch, and data sets of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model import Contract, ObjectSpec

from .contracts import TWO, contract
from .images import put


def discs(shape: tuple[int, int], centres: list[tuple[int, int]], radius: int) -> NDArray[np.int32]:
    """Ids of discs; the later ones lie below the earlier ones."""
    rows, columns = np.indices(shape)
    ids = np.zeros(shape, np.int32)
    for number, (row, column) in reversed(list(enumerate(centres, 1))):
        ids[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number
    return ids


def of_objects(separation: str = "border", window: int = 204, **changes: Any) -> Contract:
    """A contract for objects."""
    spec = {name: changes.pop(name) for name in list(changes) if name in ObjectSpec.__dataclass_fields__}
    return replace(contract(window, **changes), answer=ObjectSpec(**{"classes": TWO, "separation": separation, **spec}))


def write_touching(root: Path, count: int = 4, size: int = 64) -> Path:
    """Images of bright discs, two of which touch, with instances."""
    for number in range(count):
        rng = np.random.default_rng(number)
        first = rng.integers(14, 22, 2)
        ids = discs((size, size), [(int(first[0]), int(first[1])), (int(first[0]) + 15, int(first[1])), (50, 50)], 8)
        grey = 20 + 150 * (ids > 0) + rng.normal(0, 4, ids.shape)
        put(root / "images" / f"a{number}.png", grey.clip(0, 255).astype(np.uint8))
        put(root / "instances" / f"a{number}.png", ids.astype(np.uint8))
    return root
