"""Real and generated images, and windows of them, for comparing forms of a model."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from seg_runtime import Array, Contract, Float, ImageError
from seg_runtime.pipeline import Grid, dtype_maximum, frame

T = TypeVar("T")

PAPER_OUTPUT = 388  # output side in px of a window of 572 px
WINDOWS_PER_IMAGE = 2  # windows per real image


class Picture(ABC):
    """An image and, in a data set, its ground truth. Files are read when they are needed.

    Attributes:
        name: name of the case or file, for errors.
    """

    name: str

    @abstractmethod
    def whole(self, contract: Contract) -> Array:
        """Read the image `(*spatial, C)` as the model takes it.

        Raises:
            ImageError, DataError: if it cannot be read, or does not fit the model.
        """

    def with_truth(self, contract: Contract) -> tuple[Array, NDArray[np.uint8] | None]:
        """Return `whole` and the true labels `(*spatial)` or None."""
        return self.whole(contract), None

    def part(self, contract: Contract) -> Array:
        """Return `whole`, or the middle slice of a volume for a model of slices."""
        image = self.whole(contract)
        return image[len(image) // 2] if image.ndim - 1 > contract.geometry.axes else image


def some(found: Sequence[T], count: int) -> list[T]:
    """Select at most `count` items, evenly spaced."""
    return [found[i] for i in _evenly(len(found), count)]


def image_windows(found: Sequence[Picture], contract: Contract, per_image: int = WINDOWS_PER_IMAGE) -> Iterator[Float]:
    """Yield evenly spaced windows of real images, cropped and normalised by the runtime."""
    for picture in found:
        yield from _some_windows(picture.part(contract), contract, per_image)


def generated_images(contract: Contract, count: int, seed: int = 0, most: int | None = None) -> Iterator[Array]:
    """Generate images of blobs on a shaded, noisy background, `(*spatial, C)` uint8, for comparisons without real images.

    Args:
        contract: contract of the model; an image fills its output window.
        count: number of images.
        seed: seed of the random numbers.
        most: largest side in px; None for no limit.
    """
    rng = np.random.default_rng(seed)
    shape = tuple(min(n, most or n) for n in contract.geometry.output_shape)
    places = np.mgrid[tuple(slice(n) for n in shape)].astype(np.float32)
    slopes = (20, 40, 30)[-len(shape) :]
    for _ in range(count):
        field = np.full(shape, 60, np.float32)
        for slope, place, n in zip(slopes, places, shape, strict=True):
            field += slope * rng.random() * place / n
        for _ in range(max(3, math.prod(shape) // 5000)):  # 30 in 388 x 388 px; more would cover a small window
            centre, radius = [rng.random() * n for n in shape], 6 + 24 * rng.random()
            near = tuple(slice(max(0, int(c - 3 * radius)), int(c + 3 * radius) + 1) for c in centre)  # e^-81 beyond
            square = sum((place[near] - c) ** 2 for place, c in zip(places, centre, strict=True))
            field[near] += (60 + 80 * rng.random()) * np.exp(-((square / radius**2) ** 2))
        noisy = field[..., None] * rng.uniform(0.7, 1, contract.input.channels) + rng.normal(
            0, 8, (*shape, contract.input.channels)
        )
        yield noisy.clip(0, 255).astype(np.uint8)


def generated_windows(contract: Contract, count: int) -> Iterator[Float]:
    """Yield windows of `generated_images`."""
    for image in generated_images(contract, count):
        yield from _some_windows(image, contract, 1)


def enough(count: int, least: int, contract: Contract) -> int:
    """Number of windows with as many px as `count` windows of the U-Net paper, because large windows take PyTorch longer.

    Args:
        count: number of windows for an output of up to 388 px.
        least: smallest result.
        contract: contract of the model.
    """
    share = PAPER_OUTPUT**2 / np.prod(contract.geometry.output_shape)
    return max(least, min(count, math.ceil(count * share)))


def _evenly(total: int, count: int) -> list[int]:
    """Select at most `count` indices below `total`, evenly spaced, including the first and the last."""
    count = min(count, total)
    return [round(i * (total - 1) / max(1, count - 1)) for i in range(count)]


def _some_windows(image: Array, contract: Contract, count: int) -> Iterator[Float]:
    """Yield at most `count` evenly spaced windows `(1, C, *input_shape)` of an image `(*spatial, C)`."""
    framed = frame(image, contract)
    grid = Grid.of(framed.shape[:-1], contract.geometry)
    chosen = set(_evenly(len(grid.origins()), count))
    yield from (w for place, w in enumerate(grid.windows(framed, contract.input.intensity)) if place in chosen)


def as_dtype(image: Array, dtype: np.dtype[Any], contract: Contract) -> Array:
    """Convert an image `(H, W, C)` to the dtype of a host-ready file, with grey values on the scale of that dtype.

    Raises:
        ImageError: if the grey values do not fit into the dtype.
    """
    if image.dtype == dtype:
        return image
    if contract.input.intensity.method == "window":  # raw values keep their meaning
        cast = image.astype(dtype)
        if (cast != image).any():
            problem = f"the images have {image.dtype} grey values that do not fit into {dtype}"
            raise ImageError(problem, "", f"use --host-dtype {image.dtype}")
        return cast
    scale = dtype_maximum(dtype) / dtype_maximum(image.dtype)
    if dtype.kind == "u" and scale < 1:
        problem = f"the images are {image.dtype}"
        raise ImageError(problem, f"{dtype}, as --host-dtype says", f"use --host-dtype {image.dtype}")
    return (image * np.float64(scale)).astype(dtype)
