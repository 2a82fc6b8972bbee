"""Images as arrays, and written as Pillow writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence
from seg_runtime.pipeline import Array


def noise_image(height: int, width: int, channels: int = 3, seed: int = 0, dtype: str = "uint8") -> Array:
    """`(H, W, C)` blocks of 8 px, a slope and noise: grey values over the whole range of the dtype."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((-(-height // 8), -(-width // 8), channels)).repeat(8, 0).repeat(8, 1)[:height, :width]
    slope = np.linspace(0, 0.2, height)[:, None, None]
    field = 0.4 * blocks + slope + 0.4 * rng.random((height, width, channels))
    return (field * np.iinfo(dtype).max).astype(dtype)


def disc(size: int = 40, radius: float = 9.0) -> NDArray[np.uint8]:
    """0/255, one disc in the middle."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(rows**2 + columns**2 < radius**2, 255, 0).astype(np.uint8)


def put(path: Path, values: NDArray[np.generic]) -> Path:
    """Write an array as a picture of the suffix's format; the last axis of a single channel falls away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values[..., 0] if values.shape[2:] == (1,) else values).save(path)
    return path


def pages(path: Path) -> Array:
    """`(K, H, W)` of a TIFF's pages."""
    with Image.open(path) as image:
        return np.stack([np.array(page) for page in ImageSequence.Iterator(image)])


def picture(path: str | Path, seed: int = 0, height: int = 20, width: int = 30) -> Path:
    """A small picture in colour."""
    return put(Path(path), noise_image(height, width, seed=seed))
