"""Animals made of ellipses in the layout of the Oxford-IIIT Pet data set, with an undecided outline in the trimap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..shapes import bytes_of, ellipse, put, shading, texture
from .short import TINY, Array, Short

SIZE = 112
BREEDS = ("Abyssinian", "beagle")
ANIMAL, BACKGROUND, BOUNDARY = 1, 2, 3


def in_the_middle(image: Array) -> Array:
    """Predict an ellipse with an outline in the centre."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    y, x = rows / image.shape[0] - 0.5, columns / image.shape[1] - 0.5
    distance = np.hypot(y, x) / 0.3
    return np.select([distance < 0.9, distance < 1.1], [1, 2], 0).astype(np.uint8)


SHORT = Short(
    (*TINY, "--steps", "250"),
    20,
    in_the_middle,
    "a disc in the middle",
)


def animal(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw body, head, ears and legs `(SIZE, SIZE)`."""
    y, x, side = rng.uniform(0.45, 0.6), rng.uniform(0.4, 0.6), rng.choice([-1, 1])
    long = rng.uniform(0.18, 0.26)
    parts = [ellipse(SIZE, (y, x), (long * 0.6, long)), ellipse(SIZE, (y - long * 0.6, x + side * long), (0.11, 0.1))]
    parts += [ellipse(SIZE, (y - long * 0.6 - 0.1, x + side * long + off), (0.07, 0.035)) for off in (-0.06, 0.06)]
    parts += [ellipse(SIZE, (y + long * 0.7, x + off * long), (0.12, 0.035)) for off in (-0.7, -0.3, 0.3, 0.7)]
    return np.asarray(np.min(parts, axis=0) < 1)


def photograph(inside: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw an image `(SIZE, SIZE, 3)` with fur in warm colours on a background in cold colours, both uneven."""
    fur, ground = rng.uniform([130, 80, 30], [230, 160, 90]), rng.uniform([30, 80, 70], [110, 170, 170])
    coat, floor = texture(SIZE, 1.0, rng), texture(SIZE, 4.0, rng)
    soft = ndimage.gaussian_filter(inside.astype(float), 0.8)[..., None]
    light = 60 * shading(SIZE, rng)[..., None] + rng.normal(0, 6, (SIZE, SIZE, 3))
    return bytes_of(soft * (fur + 18 * coat[..., None]) + (1 - soft) * (ground + 22 * floor[..., None]) + light)


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` photographs for training, and one per breed for test.txt."""
    rng = np.random.default_rng(seed)
    lines: list[str] = []
    for number in range(count + len(BREEDS)):
        breed = number % len(BREEDS)
        name = f"{BREEDS[breed]}_{number // len(BREEDS) + 1}"
        inside = animal(rng)
        outline = ndimage.binary_dilation(inside, iterations=2) & ~ndimage.binary_erosion(inside, iterations=2)
        trimap = np.where(outline, BOUNDARY, np.where(inside, ANIMAL, BACKGROUND)).astype(np.uint8)
        put(root / "images" / f"{name}.jpg", photograph(inside, rng))
        put(root / "annotations" / "trimaps" / f"{name}.png", trimap)
        lines.append(f"{name} {breed + 1} {breed + 1} 1\n")
    (root / "annotations" / "trimaps" / f"._{BREEDS[0]}_1.png").write_bytes(
        b"Mac OS X        "
    )  # the archive contains such files
    (root / "annotations" / "list.txt").write_text("".join(["#Image CLASS-ID SPECIES BREED ID\n", *lines]))
    (root / "annotations" / "trainval.txt").write_text("".join(lines[:count]))
    (root / "annotations" / "test.txt").write_text("".join(lines[count:]))
