"""Objects of very different sizes, from dots to a third of the image, as images/ and masks/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from .short import Short, brighter_than_the_middle

SIZE = 128
RADII_PX = ((2, 3), (5, 8), (18, 26))
"""For small, medium and large objects."""
COUNTS = (14, 4, 1)

SHORT = Short(
    ("--width", "6", "--depth", "3", "--steps", "120", "--lr", "3e-3", "--input-size", "180", "--batch-size", "4"),
    10,
    brighter_than_the_middle,
    "a threshold in the middle of the grey range",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` fields."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture, mask = field(rng)
        Image.fromarray(picture).save(root / "images" / f"{number:03}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number:03}.png")


def field(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Generate a grey image `(SIZE, SIZE)` and its mask of 0 and 255.

    Small objects are bright. A large object differs from the background more by rim and texture than by brightness.
    """
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    light = 60 + 35 * (rows * rng.uniform(-1, 1) + columns * rng.uniform(-1, 1)) / SIZE
    coarse = ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE)), 2) * 25
    texture = rng.normal(0, 14, (SIZE, SIZE))
    taken = np.zeros((SIZE, SIZE), bool)
    for (low, high), most, lift in reversed(list(zip(RADII_PX, COUNTS, (110, 75, 25), strict=True))):
        for _ in range(most):
            radius, (y, x) = rng.uniform(low, high), rng.uniform(0, SIZE, 2)
            angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.7, 1)
            along = (rows - y) * np.cos(angle) + (columns - x) * np.sin(angle)
            across = ((columns - x) * np.cos(angle) - (rows - y) * np.sin(angle)) / squeeze
            away = np.hypot(along, across)
            disc = away < radius
            if (ndimage.binary_dilation(disc, iterations=3) & taken).any():
                continue  # keep two px of background between objects
            taken |= disc
            rim = np.clip(1 - np.abs(away - radius + 1.5) / 1.5, 0, 1) * (40 if low > 8 else 0)
            light = light + np.where(disc, lift + rim, 0)
    grain = np.where(taken, texture, coarse)
    picture = ndimage.gaussian_filter(light, 0.7) + grain + rng.normal(0, 4, (SIZE, SIZE))
    return picture.clip(0, 255).astype(np.uint8), np.where(taken, 255, 0).astype(np.uint8)
