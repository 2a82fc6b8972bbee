"""Head-and-shoulder shapes, as images/ and masks/ with a palette of the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..shapes import bytes_of, ellipse, put, shading, texture
from .short import TINY, Array, Short

SIZE = 112
SKIN, HAIR, CLOTHES = 1, 2, 3
PALETTE = [0, 0, 0, 230, 159, 0, 86, 180, 233, 0, 158, 115]


def person(centre: float, top: float, scale: float, beard: float, width: float) -> NDArray[np.uint8]:
    """Draw labels `(SIZE, SIZE)` of a person with given position and size of the head, hair length and shoulder width."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    middle = top + 0.2 * scale
    labels[ellipse(SIZE, (middle + 0.02, centre), (0.25 * scale, 0.2 * scale)) < 1] = HAIR
    labels[np.arange(SIZE) > SIZE * (middle + beard * scale)] = 0
    rows = np.arange(SIZE)[:, None] / SIZE
    neck = (np.abs(np.arange(SIZE) / SIZE - centre) < 0.07 * scale) & (rows > middle) & (rows < middle + 0.35 * scale)
    labels[neck | (ellipse(SIZE, (middle + 0.05 * scale, centre), (0.21 * scale, 0.15 * scale)) < 1)] = SKIN
    labels[ellipse(SIZE, (1.1, centre), (1.1 - middle - 0.3 * scale, width)) < 1] = CLOTHES
    return labels


def the_same_everywhere(image: Array) -> Array:
    """Predict the average silhouette of the generator."""
    return person(0.5, 0.17, 1.05, 0.12, 0.37)


SHORT = Short(
    (*TINY, "--steps", "320", "--augment", "slight,rotation=15,flips=horizontal"),
    30,
    the_same_everywhere,
    "the same silhouette everywhere",
)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` portraits."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        centre, top, scale = rng.uniform(0.38, 0.62), rng.uniform(0.1, 0.24), rng.uniform(0.85, 1.25)
        labels = person(centre, top, scale, rng.uniform(-0.02, 0.26), rng.uniform(0.3, 0.44))
        skin = rng.uniform(0.45, 1) * np.array([235, 185, 155])
        hair = rng.uniform(0.2, 1) * np.array([150, 105, 60])
        colours = np.array(
            [rng.uniform([90, 140, 170], [150, 200, 240]), skin, hair, rng.uniform([10, 20, 40], [90, 110, 160])]
        )
        picture = colours[labels] + np.array([12, 4, 9, 14])[labels][..., None] * texture(SIZE, 1.5, rng)[..., None]
        picture = picture + 60 * shading(SIZE, rng)[..., None] + rng.normal(0, 5, picture.shape)
        put(root / "images" / f"person{number:03}.jpg", bytes_of(picture))
        put(root / "masks" / f"person{number:03}.png", labels, PALETTE)
