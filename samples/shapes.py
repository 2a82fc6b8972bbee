"""Drawing functions for the generators of sample data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float64]


def ellipse(size: int, centre: tuple[float, float], axes: tuple[float, float], angle: float = 0.0) -> Floats:
    """Distance from the centre `(size, size)`, 1 on the ellipse. Centre and half axes are fractions of the size."""
    rows, columns = np.mgrid[:size, :size] / size
    y, x = rows - centre[0], columns - centre[1]
    along, across = y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)
    return np.hypot(along / axes[0], across / axes[1])


def blob(
    size: int, centre: tuple[float, float], radius: float, rng: np.random.Generator, wobble: float = 0.1
) -> Floats:
    """Like `ellipse`, with an irregular outline."""
    rows, columns = np.mgrid[:size, :size] / size
    y, x = rows - centre[0], columns - centre[1]
    around = np.arctan2(y, x)
    outline = 1 + sum(2 * wobble * rng.uniform(-1, 1) * np.sin(k * around + rng.uniform(0, 6)) / k for k in (2, 3, 4))
    return np.asarray(np.hypot(y, x) / (radius * outline))


def texture(size: int, sigma_px: float, rng: np.random.Generator) -> Floats:
    """Smooth noise `(size, size)` of standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, (size, size)), sigma_px, mode="wrap")
    return np.asarray(noise / noise.std())


def shading(size: int, rng: np.random.Generator) -> Floats:
    """Linear gradient `(size, size)` in a random direction, between -1 and 1."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    return np.asarray(rows * rng.uniform(-1, 1) + columns * rng.uniform(-1, 1))


def bytes_of(values: Floats) -> NDArray[np.uint8]:
    """Convert grey values to 8 bits."""
    return np.asarray(np.clip(values, 0, 255), np.uint8)


def put(path: Path, values: NDArray[np.generic], palette: list[int] | None = None) -> None:
    """Write an image in the format of its suffix, optionally with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values)
    if palette is not None:
        picture.putpalette(palette)
    picture.save(path)
