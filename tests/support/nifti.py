"""NIfTI images with the axes of their voxels in any order."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
from seg_runtime.pipeline import Array


def affine_of(order: str, zooms: tuple[float, float, float] = (0.7, 1.1, 3.0), tilt: float = 0.1) -> Array:
    """Voxels of the given axis codes, anisotropic, tilted by some degrees, somewhere in space."""
    axes = {"L": (-1, 0), "R": (1, 0), "P": (-1, 1), "A": (1, 1), "I": (-1, 2), "S": (1, 2)}
    turn = np.zeros((3, 3))
    for column, letter in enumerate(order):
        sign, row = axes[letter]
        turn[row, column] = sign
    cos, sin = np.cos(tilt), np.sin(tilt)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ turn @ np.diag(zooms)
    affine[:3, 3] = (-12.5, 30, 7)
    return affine


def stored(seen: Array, order: str) -> Array:
    """`(D, H, W, C)` as the network sees it, in the voxel order of a file, by hand: axis by axis."""
    names = {"L": 2, "R": 2, "P": 1, "A": 1, "S": 0, "I": 0}  # axis of (D, H, W) that a letter runs along
    voxels = np.transpose(seen, (*(names[letter] for letter in order), 3))
    for axis, letter in enumerate(order):
        if letter in "RAI":  # against the network's L, P, S
            voxels = np.flip(voxels, axis)
    return voxels[..., 0] if seen.shape[-1] == 1 else voxels


def nifti(
    seen: Array, order: str = "RAS", dtype: str = "float32", kind: type = nibabel.Nifti1Image
) -> nibabel.Nifti1Image:
    image = kind(stored(seen, order).astype(dtype), affine_of(order))
    image.set_data_dtype(dtype)
    return image


def put_nifti(path: Path, image: nibabel.Nifti1Image) -> Path:
    data = image.to_bytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
