"""The golden samples of a file: which images, and what the torch model says about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import answer_of
from seg_runtime.model import FLIP_MARGIN_ERRORS, FP32_LIMIT, PROBE_PACE, Contract, Golden, Pixels, Sample
from seg_runtime.pipeline import Array, Infer, dtype_maximum, fitted, unframe, window_logits
from seg_runtime.support import DataError

from .images import PAPER_OUTPUT, Picture, enough, generated_images, some

COUNT = 2  # samples of each kind: made-up and, if asked for, real
CANDIDATES = 6  # tried for them
MIXED = 0.05  # share of pixels outside the commonest label from which a sample is good enough
POSITIONS = 2048  # logits kept of each
SIDE = PAPER_OUTPUT  # of an image at most: a larger window is filled by its mirror images, and the file stays small


@dataclass(frozen=True)
class Tolerance:
    """What the self-test allows a device, as shares of the logits' range."""

    limit: float = FP32_LIMIT
    """Of any logit's error."""
    rms_limit: float | None = None
    """Of the root of the mean squared error; None for no limit of its own."""


def golden_samples(
    contract: Contract, infer: Infer, images: Sequence[Picture] = (), tolerance: Tolerance = Tolerance()
) -> Golden:
    """Samples for a file, with the answers of `infer`.

    Args:
        contract: of the file.
        infer: the torch model, or the int8 graph operator by operator, window -> logits.
        images: real ones to take crops of, besides the made-up ones. Their pixels become part of the file.
        tolerance: that the file's form is allowed.

    Raises:
        DataError, ImageError: an image that does not fit the model.
    """
    tried, limit = enough(CANDIDATES, COUNT, contract), tolerance.limit
    kinds: list[Iterable[Pixels]] = [(generated(p, contract) for p in generated_images(contract, tried, 1, SIDE))]
    if images:
        kinds.append(_crops(images, contract))
    samples = [s for kind in kinds for s in _mixed((_answered(p, contract, infer, limit) for p in kind), COUNT)]
    return Golden(tuple(samples), limit, tolerance.rms_limit)


def _answered(pixels: Pixels, contract: Contract, infer: Infer, limit: float) -> Sample:
    """A sample of an image that is one window: its answers come by the corridor that every image takes."""
    image = fitted(pixels.image(), contract)
    grid, answers = window_logits(image, contract, infer)
    [logits] = answers
    low, high = float(logits.min()), float(logits.max())
    positions = _positions(logits.shape, contract)
    labels = close = None
    if contract.answer.decided:
        answer = answer_of(contract)
        labels = answer.segment(image, lambda window: logits[None])
        gaps = unframe(grid.stitch([answer.margins(logits)], np.zeros(grid.shape, np.float32)), image.shape[:-1])
        close = gaps <= FLIP_MARGIN_ERRORS * limit * (high - low)
    return Sample(
        pixels,
        labels,
        close,
        positions=positions,
        logits=logits.ravel()[positions],
        low=low,
        high=high,
    )


def _positions(shape: tuple[int, ...], contract: Contract) -> NDArray[np.int32]:
    """Of the logits that are kept, in the flattened `(K, *output_shape)`: a host-ready file gives those of its probe only."""
    places = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    if contract.file.whole_images:
        places = places[(slice(None), *(slice(None, None, PROBE_PACE) for _ in shape[1:]))]
    chosen = np.random.default_rng(0).choice(places.ravel(), min(POSITIONS, places.size), replace=False)
    return np.sort(chosen)


def generated(values: NDArray[np.uint8], contract: Contract) -> Pixels:
    """A made-up image in the grey values that the contract's intensity was made for.

    Args:
        values: `(H, W, C)`, 0..255, stretched over the useful range.
        contract: says which range that is, and of which dtype.
    """
    dtype = contract.file.dtype or ("float32" if contract.input.pixels == "float" else "uint8")
    useful = _useful(contract, dtype_maximum(np.dtype(dtype)))
    if dtype == "uint8" and useful and useful[1] > 255 and not contract.file.dtype:
        dtype = "uint16"
    unit = dtype_maximum(np.dtype(dtype))
    if useful and dtype != "float32":
        useful = max(0.0, useful[0]), min(unit, useful[1])
    if not useful or useful[0] >= useful[1]:
        return Pixels(values, dtype, unit / 255)
    darkest, brightest = float(values.min()), float(values.max())
    scale = (useful[1] - useful[0]) / max(1.0, brightest - darkest)
    return Pixels(values, dtype, scale, useful[0] - darkest * scale)


def _useful(contract: Contract, unit: float) -> tuple[float, float] | None:
    """Grey values that the intensity was made for, for a window a little more, where it clips; None for all."""
    i = contract.input.intensity
    if i.method == "window":
        return i.level - 0.55 * i.width, i.level + 0.55 * i.width
    if i.method == "standardize":
        ends = [unit * (m + sign * 2 * s) for m, s in zip(i.mean, i.std, strict=True) for sign in (-1, 1)]
        return min(ends), max(ends)
    return None


def _crops(images: Sequence[Picture], contract: Contract) -> Iterator[Pixels]:
    """The middle of real images, one output window each or less, at 8 bits between its own darkest and brightest value."""
    for picture in some(images, CANDIDATES):
        image = picture.part(contract)
        if contract.file.dtype not in (None, image.dtype):
            fix = "name a folder of such images"
            raise DataError(
                f"{picture.name} has {image.dtype} grey values", f"{contract.file.dtype} as the file takes", fix
            )
        yield _quantised(_middle(image, tuple(min(n, SIDE) for n in contract.geometry.output_shape)))


def _middle(image: Array, shape: tuple[int, ...]) -> Array:
    cut = tuple(slice(max(0, (n - o) // 2), max(0, (n - o) // 2) + o) for n, o in zip(image.shape, shape, strict=False))
    return image[cut]


def _quantised(image: Array) -> Pixels:
    if image.dtype == np.uint8:
        return Pixels(np.ascontiguousarray(image))
    low, high = float(image.min()), float(image.max())
    scale = (high - low) / 255 or 1.0
    return Pixels(np.rint((image - low) / scale).astype(np.uint8), str(image.dtype), scale, low)


def _mixed(samples: Iterable[Sample], count: int) -> list[Sample]:
    """The first samples whose labels are mixed, as values always are; where there are too few, the most mixed of the others."""
    good: list[Sample] = []
    others: list[Sample] = []
    for sample in samples:
        (good if _other_labels(sample) >= MIXED else others).append(sample)
        if len(good) == count:
            return good
    others.sort(key=_other_labels, reverse=True)
    return good + others[: count - len(good)]


def _other_labels(sample: Sample) -> float:
    """Share of pixels outside the commonest label; 1 where there are none."""
    if sample.labels is None:
        return 1.0
    return 1 - float(np.bincount(sample.labels.ravel()).max()) / sample.labels.size
