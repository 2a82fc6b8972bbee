"""A folder of images and masks without fault, and the mistakes that people make in such folders."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .images import put

SIDE = (96, 128)  # height and width of an image in px
Mistake = Callable[[Path], object]
"""Makes a mistake in a folder that `write_cells` wrote."""


def cells(seed: int, shape: tuple[int, int] = SIDE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A noisy image of bright cells on a dark background, and its mask with 0 and 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for _ in range(5):
        row, column, radius = rng.uniform(12, shape[0] - 12), rng.uniform(12, shape[1] - 12), rng.uniform(6, 11)
        inside |= (y - row) ** 2 + ((x - column) * rng.uniform(0.7, 1.3)) ** 2 < radius**2
    image = 40 + 20 * (x / shape[1]) + 90 * inside + rng.normal(0, 8, shape)
    return image.clip(0, 255).astype(np.uint8), (255 * inside).astype(np.uint8)


def write_cells(root: Path, count: int = 6, shape: tuple[int, int] = SIDE) -> Path:
    """Write `images/NAME.png` and `masks/NAME.png` with names that say nothing."""
    for number in range(count):
        image, mask = cells(number, shape)
        put(root / "images" / f"{name_of(number)}.png", image)
        put(root / "masks" / f"{name_of(number)}.png", mask)
    return root


def name_of(number: int) -> str:
    """The name of a case; names are in the order of the alphabet."""
    return ("agate", "amber", "beryl", "coral", "jade", "onyx", "opal", "pearl", "ruby", "topaz")[number]


A, B, C = (name_of(number) for number in range(3))


def change(part: str, name: str, how: Callable[[NDArray[np.uint8]], NDArray[np.generic]]) -> Mistake:
    """Replace the array of a file."""

    def make(root: Path) -> None:
        path = root / part / f"{name}.png"
        put(path, np.ascontiguousarray(how(np.array(Image.open(path)))))

    return make


def change_all(part: str, how: Callable[[NDArray[np.uint8]], NDArray[np.generic]]) -> Mistake:
    """Replace the arrays of all files of a folder."""
    return lambda root: [change(part, path.stem, how)(root) for path in sorted((root / part).iterdir())]


def stray(mask: NDArray[np.uint8], *values: int) -> NDArray[np.uint8]:
    """A mask with one pixel of each value in its corner."""
    mask = mask.copy()
    mask[0, : 2 * len(values) : 2] = values
    return mask


def swap_folders(root: Path) -> None:
    (root / "images").rename(root / "other")
    (root / "masks").rename(root / "images")
    (root / "other").rename(root / "masks")


def rename_masks(root: Path) -> None:
    for name in (A, B, C):
        (root / "masks" / f"{name}.png").rename(root / "masks" / f"{name}-1.png")


def into_subfolders(*parts: str) -> Mistake:
    """Move the files of folders into their subfolders d1 and d2."""

    def make(root: Path) -> None:
        for part in parts:
            for number, path in enumerate(sorted((root / part).iterdir())):
                target = root / part / f"d{number % 2 + 1}"
                target.mkdir(exist_ok=True)
                path.rename(target / path.name)

    return make


def copy(root: Path, name: str = "copied", suffix: str = "png") -> None:
    """Save the first image again under another name, as another kind of file if the suffix says so."""
    Image.open(root / "images" / f"{A}.png").save(root / "images" / f"{name}.{suffix}")
    shutil.copy(root / "masks" / f"{A}.png", root / "masks" / f"{name}.png")


def one_field(count: int, noise: float = 0) -> Mistake:
    """Replace all by images of one field, with other noise in each."""

    def make(root: Path) -> None:
        for path in [*(root / "images").iterdir(), *(root / "masks").iterdir()]:
            path.unlink()
        image, mask = cells(0, SIDE)
        for number in range(count):
            extra = np.random.default_rng(number).normal(0, noise, SIDE)
            put(
                root / "images" / f"{name_of(number)}.png",
                (image + extra).clip(0, 255).astype(np.uint8),
            )
            put(root / "masks" / f"{name_of(number)}.png", mask)

    return make


def copy_as_jpeg(root: Path) -> None:
    copy(root, suffix="jpg")


def copy_mirrored(root: Path) -> None:
    copy(root)
    for part in ("images", "masks"):
        change(part, "copied", lambda array: array[:, ::-1])(root)


def cut_short(*names: str, part: str = "images") -> Mistake:
    """Cut files to their first half."""

    def make(root: Path) -> None:
        for name in names:
            path = root / part / f"{name}.png"
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return make


def to_time_points(root: Path) -> None:
    """Name the files as three time points of two wells."""
    for part in ("images", "masks"):
        for number, path in enumerate(sorted((root / part).iterdir())):
            path.rename(path.with_name(f"well{'AB'[number // 3]}_t{number % 3:02}.png"))


def soft_edges(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask that was resized with interpolation."""
    small = Image.fromarray(mask).resize((mask.shape[1] // 2, mask.shape[0] // 2), Image.Resampling.BILINEAR)
    return np.array(small.resize(mask.shape[::-1], Image.Resampling.BILINEAR))


def third_class(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask with a large area of 128, which is no stray value."""
    mask = mask.copy()
    mask[:20, :20] = 128
    return mask
