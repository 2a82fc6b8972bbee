"""Blobs of low contrast, as images/ and masks/; the reader adds their boundary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage
from seg_toolkit.data import ring_mask

from ..shapes import blob, bytes_of, put, shading, texture
from .short import TINY, Array, Short, brighter_than_the_middle

SIZE = 112


def threshold_with_ring(image: Array) -> Array:
    """Predict what is brighter than the mean of the extremes, with a ring of 3 px around it."""
    labels = brighter_than_the_middle(image)
    return np.where(ring_mask(labels, 3), 2, labels).astype(np.uint8)


SHORT = Short(
    (*TINY, "--steps", "320"),
    15,
    threshold_with_ring,
    "a threshold in the middle of the grey range, with a ring",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` images of one to three lesions."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        inside = np.zeros((SIZE, SIZE), bool)
        for _ in range(int(rng.integers(1, 4))):
            centre = rng.uniform(0.2, 0.8, 2)
            inside |= blob(SIZE, (centre[0], centre[1]), rng.uniform(0.1, 0.2), rng, wobble=0.15) < 1
        light = 85 + 60 * ndimage.gaussian_filter(inside.astype(float), 1.2)
        picture = light + 8 * texture(SIZE, 2.0, rng) + 60 * shading(SIZE, rng) + rng.normal(0, 6, light.shape)
        put(root / "images" / f"{number:03}.png", bytes_of(picture))
        put(root / "masks" / f"{number:03}.png", (inside * 255).astype(np.uint8))
