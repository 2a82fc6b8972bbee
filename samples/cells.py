"""Generate sample fields of cells with their masks and instances: `python samples/cells.py DATA --count 24`.

The fields have what makes real ones hard: uneven light, the noise of photons, and cells of very different brightness that nearly
touch.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage


def field(
    size: int, cells: int, rng: np.random.Generator, touching: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """One grey picture `(size, size)` uint8 and its instances `(size, size)` uint16, ids from 1; cells may touch or not."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    instances = np.zeros((size, size), np.uint16)
    light = np.zeros((size, size), np.float32)
    for _ in range(cells):
        y, x = rng.uniform(0, size, 2)
        long, short = rng.uniform(9, 22), rng.uniform(8, 15)
        angle = rng.uniform(0, np.pi)
        along = (rows - y) * np.cos(angle) + (columns - x) * np.sin(angle)
        across = (columns - x) * np.cos(angle) - (rows - y) * np.sin(angle)
        wobble = 1 + 0.12 * np.sin(3 * np.arctan2(across, along) + rng.uniform(0, 6))
        distance = np.sqrt((along / long) ** 2 + (across / short) ** 2) / wobble
        cell = distance < 1
        near = cell if touching else ndimage.binary_dilation(cell, iterations=3)  # two px of ground between cells
        if not cell.any() or (near & (instances > 0)).any():
            continue
        instances[cell] = instances.max() + 1
        light[cell] = rng.uniform(50, 170) * (1 - 0.5 * distance[cell] ** 2)
    ground = 25 + 8 * (rows * rng.uniform(-1, 1) + columns * rng.uniform(-1, 1)) / size
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (size, size)), 2) * 6
    photons = (ndimage.gaussian_filter(light, 1.2) + ground + texture).clip(0)
    noise = 0.4 * np.sqrt(photons) + 1  # of the photons and of the camera: a dark corner has little
    picture = photons + noise * rng.normal(0, 1, (size, size))
    return (picture * rng.uniform(0.6, 1.2)).clip(0, 255).astype(np.uint8), instances


def write_folder(root: Path, count: int, size: int, seed: int) -> None:
    """Write `count` fields as `images/`, `masks/` (0 and 255) and `instances/` (16-bit ids) below `root`."""
    for name in ("images", "masks", "instances"):
        (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture, instances = field(size, cells=size // 5, rng=rng)
        Image.fromarray(picture).save(root / "images" / f"{number:03}.png")
        Image.fromarray((instances > 0).astype(np.uint8) * np.uint8(255)).save(root / "masks" / f"{number:03}.png")
        Image.fromarray(instances).save(root / "instances" / f"{number:03}.png")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1), default=24, show_default=True)
@click.option("--size", type=click.IntRange(16), default=256, show_default=True, help="Side in px.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def main(data: Path, count: int, size: int, seed: int) -> None:
    """Write sample cells to DATA/images, DATA/masks and DATA/instances."""
    write_folder(data, count, size, seed)
    click.echo(f"wrote {count} fields of {size}×{size} px to {data}")


if __name__ == "__main__":
    main()
