"""Cells in three registered stains, one file each: nuclei (dapi), outlines (actin), filaments (tubulin)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..shapes import blob, put, texture
from .short import TINY, Array, Short

SIZE = 112
CHANNELS = ("dapi", "actin", "tubulin")
NUCLEUS, CYTOPLASM = 1, 2


def two_thresholds(image: Array) -> Array:
    """Predict nuclei by a threshold on dapi, and cytoplasm by a threshold on the sum of the others."""
    dapi, others = image[..., 0].astype(float), image[..., 1:].sum(axis=-1, dtype=float)
    above = [values > (values.min() + values.max()) / 2 for values in (dapi, others)]
    return np.select(above, [NUCLEUS, CYTOPLASM], 0).astype(np.uint8)


SHORT = Short(
    (*TINY, "--steps", "150"),
    12,
    two_thresholds,
    "a threshold for dapi, one for the others",
)


def cells(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Generate stains `(3, SIZE, SIZE)` from about 0 to 1, and labels `(SIZE, SIZE)`."""
    stains, labels = np.zeros((3, SIZE, SIZE)), np.zeros((SIZE, SIZE), np.uint8)
    filaments = np.abs(texture(SIZE, 1.0, rng))
    for y, x in rng.uniform(0.05, 0.95, (9, 2)):
        body = blob(SIZE, (y, x), rng.uniform(0.13, 0.18), rng, wobble=0.12)
        if (labels[body < 1.1] > 0).any():
            continue
        off = rng.uniform(-0.02, 0.02, 2)
        core = blob(SIZE, (y + off[0], x + off[1]), rng.uniform(0.05, 0.07), rng, wobble=0.08)
        labels[body < 1], labels[core < 1] = CYTOPLASM, NUCLEUS
        bright = rng.uniform(0.4, 1.0, 3)
        stains[0] += bright[0] * (core < 1)
        stains[1] += bright[1] * (np.exp(-(((body - 0.95) / 0.12) ** 2)) + 0.15 * (body < 1))
        stains[2] += bright[2] * ((body < 1) & (core > 1)) * (0.25 + 0.35 * filaments)
    return stains, labels


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` images, with 16 bits per stain."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        stains, labels = cells(rng)
        for name, stain in zip(CHANNELS, stains, strict=True):
            light = ndimage.gaussian_filter(stain, 0.9) + 0.1 + 0.06 * texture(SIZE, 8.0, rng)
            counts = rng.poisson(np.clip(light, 0, None) * 60) * 200 + rng.normal(500, 200, light.shape)
            put(root / "images" / f"field{number:02}_{name}.tif", np.clip(counts, 0, 65535).astype(np.uint16))
        put(root / "masks" / f"field{number:02}.png", labels)
