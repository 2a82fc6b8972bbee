"""Cells in transmitted light and their fluorescent stains, as TIFF stacks of focal planes.

images/field00.tif              3 planes, 16 bits: unstained cells in transmitted light
targets/field00_nuclei.tif      3 planes, 16 bits: a stain of the nuclei
targets/field00_membrane.tif    3 planes, 16 bits: a stain of the outlines
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ..shapes import blob, shading, texture
from .short import TINY, Array, Short

SIZE = 112
DEFOCUS_PX = (0.6, 1.2, 2.0)  # blur of the planes
STAINS = ("nuclei", "membrane")
Planes = list[NDArray[np.uint16]]


def field(rng: np.random.Generator) -> tuple[Planes, dict[str, Planes]]:
    """Generate planes `(SIZE, SIZE)` of the light and of each stain."""
    taken = np.zeros((SIZE, SIZE), bool)
    thickness, nuclei, membrane = (np.zeros((SIZE, SIZE)) for _ in range(3))
    grain = texture(SIZE, 1.0, rng)
    for y, x in rng.uniform(0.05, 0.95, (11, 2)):
        body = blob(SIZE, (y, x), rng.uniform(0.11, 0.16), rng, wobble=0.12)
        if taken[body < 1.1].any():
            continue
        taken |= body < 1.1
        off = rng.uniform(-0.02, 0.02, 2)
        core = blob(SIZE, (y + off[0], x + off[1]), rng.uniform(0.045, 0.065), rng, wobble=0.08)
        inside = np.clip(1 - body**2, 0, None)
        thickness += inside * (1 + 0.08 * grain) + 0.5 * np.clip(1 - core**2, 0, None)
        nuclei += (core < 1) * (0.8 + 0.1 * grain)
        membrane += np.exp(-(((body - 0.95) / 0.1) ** 2))
    light = (
        thickness - 0.8 * ndimage.gaussian_filter(thickness, 6) + 0.05 * shading(SIZE, rng)
    )  # phase contrast with halo

    def plane(
        values: NDArray[np.float64], blur: float, scale: float, ground: float, noise: float
    ) -> NDArray[np.uint16]:
        seen = ndimage.gaussian_filter(values, blur) * scale + ground + rng.normal(0, noise, values.shape)
        return np.clip(seen, 0, 65535).astype(np.uint16)

    stains = dict(zip(STAINS, (nuclei, membrane), strict=True))
    return (
        [plane(light, blur, 9000, 30000, 250) for blur in DEFOCUS_PX],
        {name: [plane(v, blur + 0.6, 9000, 400, 60) for blur in DEFOCUS_PX] for name, v in stains.items()},
    )


@lru_cache(maxsize=1)
def _fit() -> NDArray[np.float64]:
    """Fit slope and intercept `(2, K)` of the best linear map from light to stains, on separate images."""
    rng = np.random.default_rng(1)
    fields = [field(rng) for _ in range(4)]
    light = np.concatenate([np.ravel(p) for planes, _ in fields for p in planes]).astype(float)
    stains = [np.concatenate([np.ravel(p) for _, s in fields for p in s[name]]).astype(float) for name in STAINS]
    return np.stack([np.polyfit(light, stain, 1) for stain in stains], axis=1)


def linear(image: Array) -> Array:
    """Predict `(K, H, W)` by the best linear map of the light."""
    slope, intercept = _fit()
    return (image[..., 0] * slope[:, None, None] + intercept[:, None, None]).astype(np.float32)


SHORT = Short((*TINY, "--steps", "180"), 6, linear, "the best linear map of the light", gain=2.0)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` fields."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        light, stains = field(rng)
        put_stack(root / "images" / f"field{number:02}.tif", light)
        for name, planes in stains.items():
            put_stack(root / "targets" / f"field{number:02}_{name}.tif", planes)


def put_stack(path: Path, planes: Planes) -> None:
    """Write the pages of a TIFF file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(plane) for plane in planes)
    first.save(path, save_all=True, append_images=others)
