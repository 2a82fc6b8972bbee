"""Hollow tubules as TIFF stacks with a few annotated slices: images/NAME.tif, labels/NAME.tif, 255 elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..volumes import Volume, ellipsoid, texture
from .short import Short, brighter_than_the_middle

SHAPE = (24, 48, 48)
WALL, LUMEN, UNKNOWN = 1, 2, 255

SHORT = Short(
    ("--width", "4", "--depth", "1", "--input-size", "24,36,36", "--steps", "60", "--lr", "0.02"),
    6,
    brighter_than_the_middle,
    "a threshold in the middle of the grey range",
)


def case(rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Generate a stack `(D, H, W)` uint8 and its complete labels. The background is as dark as the inside of the walls."""
    labels = np.zeros(SHAPE, np.uint8)
    for _ in range(9):
        centre, radii = rng.uniform(0, SHAPE), rng.uniform(6, 9, 3) * (0.8, 1, 1)
        distance = ellipsoid(SHAPE, centre, radii)
        if (labels[distance < 1.1] > 0).any():
            continue  # tubules do not overlap
        labels[distance < 1] = WALL
        labels[distance < 0.6] = LUMEN
    shine = np.array([60.0, 150.0, 55.0])[labels]
    stack = shine + 8 * texture(SHAPE, rng) + rng.normal(0, 8, SHAPE)
    return stack.clip(0, 255).astype(np.uint8), labels


def sparse(labels: Volume, rng: np.random.Generator) -> Volume:
    """Keep the labels in four slices of each direction, with `UNKNOWN` elsewhere, as in quick manual annotation."""
    known = np.zeros(labels.shape, bool)
    for axis, size in enumerate(labels.shape):
        chosen = rng.choice(size, 4, replace=False)
        known[(slice(None),) * axis + (chosen,)] = True
    return np.where(known, labels, UNKNOWN).astype(np.uint8)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` stacks."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        stack, labels = case(rng)
        for part, volume in (("images", stack), ("labels", sparse(labels, rng))):
            (root / part).mkdir(parents=True, exist_ok=True)
            pages = [Image.fromarray(plane) for plane in volume]
            target = root / part / f"kidney{number:02}.tif"
            pages[0].save(target, save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
