"""Fields, woods and roofs from above in four coarse bands and a fine panchromatic channel: 16-bit TIFF, one file per band.

    images/scene00_red.tif, _green, _blue, _nir     28×28 px: means of 4×4 px of the scene
    images/scene00_pan.tif                          112×112 px: a weighted sum of the bands
    targets/scene00_red.tif, _green, _blue, _nir    112×112 px: the scene

Fine bands of real scenes do not exist. In Wald's protocol (Wald et al. 1997), all images are reduced by their factor,
here 4, and the original bands are the targets.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..shapes import put, texture
from .short import Array, Short

SIZE, FACTOR = 112, 4
BANDS = ("red", "green", "blue", "nir")
PAN = (0.35, 0.3, 0.1, 0.25)  # weights of the bands
GROUNDS = np.array([  # reflectances of soil, meadow, wood, water, roof, road
    (0.24, 0.17, 0.12, 0.32), (0.10, 0.14, 0.07, 0.50), (0.06, 0.08, 0.04, 0.38), (0.05, 0.08, 0.09, 0.02),
    (0.34, 0.20, 0.16, 0.36), (0.22, 0.21, 0.20, 0.24),
])  # fmt: skip
FULL = 2047 / 0.6  # counts per unit of reflectance: 11 bits, as in such sensors


def bicubic(image: Array) -> Array:
    """Enlarge the coarse bands to `(4, H, W)`."""
    coarse = image[::FACTOR, ::FACTOR, : len(BANDS)].astype(float)
    fine = ndimage.zoom(coarse, (FACTOR, FACTOR, 1), order=3, mode="nearest", grid_mode=True)
    return np.moveaxis(fine, -1, 0).astype(np.float32)


SHORT = Short(  # only one pooling, to keep details sharp
    ("--width", "12", "--depth", "1", "--input-size", "84", "--batch-size", "2", "--lr", "0.01", "--steps", "260"),
    10,
    bicubic,
    "the bands, enlarged bicubically",
    gain=1.0,
)


def scene(rng: np.random.Generator) -> NDArray[np.float64]:
    """Generate reflectances `(SIZE, SIZE, 4)`."""
    seeds = rng.uniform(0, SIZE, (22, 2))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    bend = 3 * np.stack([texture(SIZE, 8.0, rng) for _ in range(2)])
    near = np.hypot(rows + bend[0] - seeds[:, :1, None], columns + bend[1] - seeds[:, 1:, None]).argmin(0)
    kinds = rng.integers(0, 4, len(seeds))
    ground = GROUNDS[kinds][near] * rng.uniform(0.85, 1.15, (len(seeds), 1))[near]
    for _ in range(12):  # roofs
        y, x = rng.integers(0, SIZE - 14, 2)
        height, width = rng.integers(4, 13, 2)
        ground[y : y + height, x : x + width] = GROUNDS[4] * rng.uniform(0.7, 1.3)
    road = np.abs(columns - rng.uniform(0, SIZE) - rng.uniform(-0.8, 0.8) * rows + 6 * bend[0]) < 2.0
    ground[road] = GROUNDS[5]
    grain = 0.10 * texture(SIZE, 0.7, rng) + 0.06 * texture(SIZE, 2.5, rng)
    return ndimage.gaussian_filter(ground * (1 + grain[..., None]), (0.5, 0.5, 0)).clip(0.005, 0.6)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` scenes."""
    rng = np.random.default_rng(seed)

    def counts(values: NDArray[np.float64]) -> NDArray[np.uint16]:
        return np.rint((values * FULL + rng.normal(0, 3, values.shape)).clip(0, 2047)).astype(np.uint16)

    for number in range(count):
        fine = scene(rng)
        coarse = fine.reshape(SIZE // FACTOR, FACTOR, SIZE // FACTOR, FACTOR, -1).mean(axis=(1, 3))
        put(root / "images" / f"scene{number:02}_pan.tif", counts(fine @ np.array(PAN)))
        for band, name in enumerate(BANDS):
            put(root / "images" / f"scene{number:02}_{name}.tif", counts(coarse[..., band]))
            put(root / "targets" / f"scene{number:02}_{name}.tif", counts(fine[..., band]))
