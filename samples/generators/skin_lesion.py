"""Blob-shaped lesions under hairs, in the layout of the ISIC challenge 2017."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..shapes import blob, bytes_of, ellipse, put, shading, texture
from .short import TINY, Array, Short

SIZE = 112
IMAGES, MASKS = "ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"


def darker_than_the_middle(image: Array) -> Array:
    """Predict what is darker than the mean of the darkest and the brightest pixel."""
    grey = image.mean(axis=-1)
    return (grey < (grey.min() + grey.max()) / 2).astype(np.uint8)


SHORT = Short(
    (*TINY, "--steps", "300"),
    15,
    darker_than_the_middle,
    "below a threshold in the middle of the grey range",
)


def hairs(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw thin arcs as the covered fraction of each pixel `(SIZE, SIZE)`."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    covered = np.zeros((SIZE, SIZE))
    for _ in range(count):
        y, x, radius, start = (
            rng.uniform(-0.5, 1.5),
            rng.uniform(-0.5, 1.5),
            rng.uniform(0.6, 2),
            rng.uniform(-np.pi, np.pi),
        )
        off = np.abs(np.hypot(rows - y, columns - x) - radius) * SIZE
        along = np.abs(np.angle(np.exp(1j * (np.arctan2(rows - y, columns - x) - start)))) < 1.2
        covered = np.maximum(covered, np.clip(1.2 - off, 0, 1) * along)
    return covered


def photograph(inside: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an image `(SIZE, SIZE, 3)` of a lesion, given as 1 inside, which is darker towards its centre."""
    skin, spot = rng.uniform([200, 140, 115], [235, 180, 160]), rng.uniform([90, 50, 35], [165, 100, 80])
    patches = texture(SIZE, 3.0, rng)[..., None]
    colour = inside[..., None] * (spot + 14 * patches) + (1 - inside[..., None]) * (skin + 5 * patches)
    colour = colour + 90 * shading(SIZE, rng)[..., None] + rng.normal(0, 4, colour.shape)
    hair = hairs(int(rng.integers(5, 18)), rng)[..., None]
    tube = np.clip(8 * (rng.uniform(1.0, 1.25) - ellipse(SIZE, (0.5, 0.5), (0.5, 0.5))), 0, 1)[..., None]
    return bytes_of((colour * (1 - hair) + hair * rng.uniform(20, 60)) * tube)  # dark outside the dermatoscope


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` photographs with their masks and superpixels."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        name = f"ISIC_{number:07}"
        centre = rng.uniform(0.36, 0.64, 2)
        distance = blob(SIZE, (centre[0], centre[1]), rng.uniform(0.14, 0.33), rng, wobble=0.15)
        soft = ndimage.gaussian_filter((distance < 1).astype(float), rng.uniform(0.8, 2.0))
        put(root / IMAGES / f"{name}.jpg", photograph(soft, rng))
        superpixels = (
            np.indices((SIZE, SIZE)).sum(axis=0) // 16
        )  # the data set has such files, whose colours encode numbers
        put(root / IMAGES / f"{name}_superpixels.png", np.stack([superpixels] * 3, -1).astype(np.uint8))
        put(root / MASKS / f"{name}_segmentation.png", ((distance < 1) * 255).astype(np.uint8))
