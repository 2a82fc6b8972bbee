"""Three-layer nested ellipses on a shaded, noisy background, as images/ and masks/ with values 0 to 3."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..shapes import bytes_of, ellipse, put, shading
from .short import TINY, Array, Short

SIZE = 96
LAYERS = (1.0, 0.68, 0.36)  # half axes of the layers, as fractions of the outer ones


def four_levels(image: Array) -> Array:
    """Split the range of grey values into four equal parts."""
    grey = image.mean(axis=-1)
    share = (grey - grey.min()) / max(1.0, float(grey.max() - grey.min()))
    return np.minimum(share * 4, 3).astype(np.uint8)


SHORT = Short(
    (*TINY, "--geometry", "fit", "--steps", "300"),
    15,
    four_levels,
    "four equal levels of grey",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` images."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        labels = np.zeros((SIZE, SIZE), np.uint8)
        light = np.full((SIZE, SIZE), rng.uniform(30, 60))
        centre, axes, angle = rng.uniform(0.38, 0.62, 2), rng.uniform(0.2, 0.36, 2), rng.uniform(0, np.pi)
        for layer, share in enumerate(LAYERS, 1):
            off = centre + rng.uniform(-0.02, 0.02, 2)
            inside = ellipse(SIZE, (off[0], off[1]), (axes[0] * share, axes[1] * share), angle) < 1
            labels[inside] = layer
            light[inside] += rng.uniform(25, 50)
        picture = light + 45 * shading(SIZE, rng) + rng.normal(0, 12, light.shape)
        put(root / "images" / f"{number:03}.png", bytes_of(picture))
        put(root / "masks" / f"{number:03}.png", labels)
