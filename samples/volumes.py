"""Shared functions of the generators of volumes: ellipsoids, texture and NIfTI files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[Any]


def ellipsoid(shape: Sequence[int], centre: Sequence[float], radii: Sequence[float]) -> NDArray[np.float64]:
    """Distance from the centre `(D, H, W)` in radii, below 1 inside."""
    axes = [(np.arange(n) - c) / r for n, c, r in zip(shape, centre, radii, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(z**2 + y**2 + x**2)


def texture(shape: Sequence[int], rng: np.random.Generator, sigma: float = 1.5) -> NDArray[np.float64]:
    """Smooth noise `(D, H, W)` with a standard deviation of 1."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape), sigma)
    return np.asarray(noise / noise.std())


def write_nifti(path: Path, volume: Volume, spacing_mm: Sequence[float], flip: bool = False) -> None:
    """Write `(D, H, W)`, slices from feet to head, rows to the back, columns to the left, as `(X, Y, Z)`.

    Args:
        path: path that ends in .nii.gz.
        volume: volume in the dtype of the file.
        spacing_mm: spacing of columns, rows and slices.
        flip: whether to store columns and rows in reverse order, as some data sets do.
    """
    voxels, signs = np.transpose(volume, (2, 1, 0)), np.array([-1.0, -1.0, 1.0])
    if flip:
        voxels, signs = voxels[::-1, ::-1], np.ones(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(voxels, np.diag([*(signs * np.asarray(spacing_mm)), 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
