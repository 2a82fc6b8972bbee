"""Heads with a tumour in four scans, in the layout of BraTS: CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2, _seg (0, 1, 2, 4)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..volumes import Volume, ellipsoid, texture, write_nifti
from .short import Array, Short

SHAPE = (24, 48, 48)
NECROSIS, EDEMA, ENHANCING = 1, 2, 4
SHINE = {  # grey values of brain, edema, enhancing rim and necrosis
    "flair": (300, 620, 500, 330), "t1": (420, 350, 380, 250), "t1ce": (420, 360, 900, 260), "t2": (320, 640, 480, 700),
}  # fmt: skip


def bright_flair_is_edema(image: Array) -> Array:
    """Predict edema where FLAIR is above the mean of its darkest and brightest voxel."""
    flair = image[..., 0]
    return np.where(flair > (flair.min() + flair.max()) / 2, 2, 0).astype(np.uint8)


SHORT = Short(
    ("--width", "4", "--depth", "1", "--input-size", "24,36,36", "--steps", "60", "--lr", "0.02"),
    6,
    bright_flair_is_edema,
    "bright FLAIR is edema",
)


def case(rng: np.random.Generator) -> tuple[dict[str, Volume], Volume]:
    """Generate four scans `(D, H, W)` int16 of a head, 0 outside the brain, and its labels uint8."""
    middle = np.array(SHAPE) / 2 + rng.uniform(-1.5, 1.5, 3)
    brain = ellipsoid(SHAPE, middle, (10.5, 21, 18)) < 1
    place = middle + rng.uniform(-1, 1, 3) * (2, 6, 6)
    wobble = 0.12 * texture(SHAPE, rng, 2.5)
    radius = rng.uniform(0.85, 1.15)
    labels = np.zeros(SHAPE, np.uint8)
    for value, size in ((EDEMA, 11.0), (ENHANCING, 7.0), (NECROSIS, 4.0)):
        part = ellipsoid(SHAPE, place, np.array([0.75, 1.0, 1.0]) * size * radius) + wobble < 1
        labels[part & brain] = value
    scans = {}
    for name, (tissue, *rest) in SHINE.items():
        scan = np.full(SHAPE, float(tissue))
        for value, shine in zip((EDEMA, ENHANCING, NECROSIS), rest, strict=True):
            scan[labels == value] = shine
        scan = scan * rng.uniform(0.8, 1.25) + 25 * texture(SHAPE, rng) + rng.normal(0, 20, SHAPE)
        scans[name] = np.where(brain, scan.clip(1), 0).astype(np.int16)
    return scans, labels


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` cases."""
    rng = np.random.default_rng(seed)
    for number in range(1, count + 1):
        name = f"BraTS20_Training_{number:03}"
        scans, labels = case(rng)
        for scan, volume in {**scans, "seg": labels}.items():
            write_nifti(root / name / f"{name}_{scan}.nii.gz", volume, (1, 1, 1))
