"""Abdomens with a pancreas and a tumour in it, in Hounsfield units, in the layout of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..volumes import Volume, ellipsoid, texture, write_nifti
from .short import Array, Short

SHAPE = (12, 96, 96)
AIR, FAT, MUSCLE, LIVER, BONE, PANCREAS, TUMOUR = -1000, -90, 40, 125, 420, 160, 70  # Hounsfield units
LABELS = {"0": "background", "1": "pancreas", "2": "cancer"}


def bright_tissue_is_pancreas(image: Array) -> Array:
    """Predict pancreas between 130 and 200 Hounsfield units."""
    return ((image[..., 0] > 130) & (image[..., 0] < 200)).astype(np.uint8)


SHORT = Short(
    # without the norm, so few steps do not find the tumour; chosen on samples with the seeds 1 and 2
    (
        "--width",
        "8",
        "--depth",
        "2",
        "--input-size",
        "108",
        "--steps",
        "260",
        "--lr",
        "0.004",
        "--dropout",
        "0",
        "--norm",
        "batch",
    ),
    6,
    bright_tissue_is_pancreas,
    "130 to 200 Hounsfield units are pancreas",
)


def case(rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Generate a scan `(D, H, W)` int16 in Hounsfield units and labels uint8. The pancreas fills a few per cent, the tumour less."""
    middle = np.array(SHAPE) / 2 + rng.uniform(-2, 2, 3)
    scan = np.full(SHAPE, float(AIR))
    bend = 0.06 * texture(SHAPE, rng, 4)
    wide = rng.uniform(0.9, 1.05)
    for value, offset, radii in (
        (FAT, (0, 0, 0), (60, 36, 45)), (MUSCLE, (0, 0, 0), (60, 32, 41)), (LIVER, (0, -8, -20), (16, 16, 17)),
        (BONE, (0, 22, 0), (60, 6, 6)), (LIVER, (2, 4, 28), (12, 9, 8)),
    ):  # fmt: skip
        scan[ellipsoid(SHAPE, middle + offset, np.array(radii) * wide) + bend < 1] = value
    labels = np.zeros(SHAPE, np.uint8)
    lower = np.array([0, 4 + rng.uniform(-2, 2), 6])
    organ = ellipsoid(SHAPE, middle + lower, (5, 6, 16)) + 2 * bend < 1
    place = middle + np.array([rng.uniform(-1, 1), 4, 6 + rng.uniform(-7, 7)])
    labels[organ] = 1
    labels[organ & (ellipsoid(SHAPE, place, (3, 5, 5)) < 1)] = 2
    scan[labels == 1], scan[labels == 2] = PANCREAS, TUMOUR
    scan = scan + 12 * texture(SHAPE, rng, 1) + rng.normal(0, 12, SHAPE)
    return scan.clip(-1024, 3071).astype(np.int16), labels


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` scans with dataset.json."""
    rng = np.random.default_rng(seed)
    names = [f"pancreas_{number:03}" for number in range(1, count + 1)]
    for name in names:
        scan, labels = case(rng)
        for part, volume in (("imagesTr", scan), ("labelsTr", labels)):
            write_nifti(root / part / f"{name}.nii.gz", volume, (0.8, 0.8, 2.5), flip=True)
    listed = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names]
    content = {"name": "Pancreas", "tensorImageSize": "3D", "modality": {"0": "CT"}, "labels": LABELS,
               "numTraining": count, "numTest": 0, "training": listed, "test": []}  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(content, indent=1))
