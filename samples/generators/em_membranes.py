"""Sections of densely packed cells, as the two stacks of the ISBI 2012 challenge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ..shapes import bytes_of, ellipse, shading, texture
from .short import TINY, Short, brighter_than_the_middle

SIZE = 128
SHORT = Short(
    (*TINY, "--steps", "300"),
    10,
    brighter_than_the_middle,
    "a threshold in the middle of the grey range",
)


def section(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Generate an image and its labels `(SIZE, SIZE)`, 0 for a membrane between two cells."""
    places = np.indices((SIZE, SIZE)) + 3 * np.stack([texture(SIZE, 9.0, rng) for _ in range(2)])
    seeds = rng.uniform(-10, SIZE + 10, (45, 2, 1, 1))
    distances = np.sort(np.hypot(*np.moveaxis(places - seeds, 1, 0)), axis=0)
    gap = distances[1] - distances[0]
    membrane = gap < 3.0
    light = 170 + 16 * texture(SIZE, 1.5, rng) + 12 * texture(SIZE, 20.0, rng)
    dark = ndimage.gaussian_filter(membrane.astype(float), 1.0)
    for y, x in rng.uniform(0, 1, (30, 2)):  # mitochondria, as dark as membranes
        inside = ellipse(SIZE, (y, x), (rng.uniform(0.02, 0.07), rng.uniform(0.02, 0.07))) < 1
        light[inside & (gap > 6)] -= rng.uniform(60, 90)
    picture = light - 110 * dark + 90 * shading(SIZE, rng) + rng.normal(0, 18, light.shape)
    return bytes_of(picture), np.where(membrane, 0, 255).astype(np.uint8)


def write(root: Path, count: int, seed: int) -> None:
    """Write stacks of `count` pages, and a test volume without labels."""
    rng = np.random.default_rng(seed)
    pages = [section(rng) for _ in range(count)]
    root.mkdir(parents=True, exist_ok=True)
    for name, stack in (
        ("train-volume.tif", [picture for picture, _ in pages]),
        ("train-labels.tif", [labels for _, labels in pages]),
        ("test-volume.tif", [section(rng)[0]]),
    ):
        first, *more = [Image.fromarray(page) for page in stack]
        first.save(root / name, save_all=True, append_images=more)
