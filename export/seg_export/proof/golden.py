"""Golden samples of a file: images, and the results of the PyTorch model for them."""

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

COUNT = 2  # samples of each kind: generated and, with --golden, real
CANDIDATES = 6  # images to choose the samples from
MIXED = 0.05  # a sample needs this fraction of pixels outside the most common label
POSITIONS = 2048  # logits stored per sample
SIDE = PAPER_OUTPUT  # largest side of an image: larger windows are filled by mirroring, and the file stays small


@dataclass(frozen=True)
class Tolerance:
    """Tolerances of the self-test, as fractions of the range of the logits."""

    limit: float = FP32_LIMIT
    """Largest error of a logit."""
    rms_limit: float | None = None
    """Largest root mean squared error; None for no limit."""


def golden_samples(
    contract: Contract, infer: Infer, images: Sequence[Picture] = (), tolerance: Tolerance = Tolerance()
) -> Golden:
    """Make golden samples for a file, with the results of `infer`.

    Args:
        contract: contract of the file.
        infer: window -> logits, by the PyTorch model or by the int8 graph without fused operators.
        images: real images to crop, in addition to generated ones. Their pixels become part of the file.
        tolerance: tolerance of the self-test.

    Raises:
        DataError, ImageError: if an image does not fit the model.
    """
    tried, limit = enough(CANDIDATES, COUNT, contract), tolerance.limit
    kinds: list[Iterable[Pixels]] = [(generated(p, contract) for p in generated_images(contract, tried, 1, SIDE))]
    if images:
        kinds.append(_crops(images, contract))
    samples = [s for kind in kinds for s in _mixed((_sample(p, contract, infer, limit) for p in kind), COUNT)]
    return Golden(tuple(samples), limit, tolerance.rms_limit)


def _sample(pixels: Pixels, contract: Contract, infer: Infer, limit: float) -> Sample:
    """Make a sample of an image that is one window, with the pipeline that is used for every image."""
    image = fitted(pixels.image(), contract)
    grid, answers = window_logits(image, contract, infer)
    [logits] = answers
    low, high = float(logits.min()), float(logits.max())
    positions = _positions(logits.shape, contract)
    labels = close = objects = None
    if contract.answer.decided:
        answer = answer_of(contract)
        stitched = answer.stitched(image, lambda window: logits[None])
        labels = answer.decided(stitched)
        gaps = unframe(grid.stitch([answer.margins(logits)], np.zeros(grid.shape, np.float32)), image.shape[:-1])
        if contract.answer.separated:
            objects = answer.part(answer.whole(stitched), "objects")
        close = gaps <= FLIP_MARGIN_ERRORS * limit * (high - low)
    return Sample(
        pixels,
        labels,
        close,
        positions=positions,
        logits=logits.ravel()[positions],
        low=low,
        high=high,
        objects=objects,
    )


def _positions(shape: tuple[int, ...], contract: Contract) -> NDArray[np.int32]:
    """Choose the stored logits in the flattened `(K, *output_shape)`. A host-ready file returns those of its probe only."""
    places = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    if contract.file.whole_images:
        places = places[(slice(None), *(slice(None, None, PROBE_PACE) for _ in shape[1:]))]
    chosen = np.random.default_rng(0).choice(places.ravel(), min(POSITIONS, places.size), replace=False)
    return np.sort(chosen)


def generated(values: NDArray[np.uint8], contract: Contract) -> Pixels:
    """Convert a generated image to the grey values for which the intensity of the contract was made.

    Args:
        values: `(H, W, C)`, 0..255, scaled to the useful range.
        contract: contract that determines range and dtype.
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
    """Range of grey values for which the intensity was made, slightly more for a window, which clips; None for all."""
    i = contract.input.intensity
    if i.method == "window":
        return i.level - 0.55 * i.width, i.level + 0.55 * i.width
    if i.method == "standardize":
        ends = [unit * (m + sign * 2 * s) for m, s in zip(i.mean, i.std, strict=True) for sign in (-1, 1)]
        return min(ends), max(ends)
    return None


def _crops(images: Sequence[Picture], contract: Contract) -> Iterator[Pixels]:
    """Crop the centre of real images, at most one output window, with 8 bits between its darkest and brightest value."""
    for picture in some(images, CANDIDATES):
        image = picture.part(contract)
        if contract.file.dtype not in (None, image.dtype):
            problem = f"{picture.name} has {image.dtype} grey values"
            raise DataError(problem, f"{contract.file.dtype}, as the file takes", "use a folder with such images")
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
    """Select the first samples with mixed labels, as values always are. If there are too few, add the most mixed others."""
    good: list[Sample] = []
    others: list[Sample] = []
    for sample in samples:
        (good if _other_labels(sample) >= MIXED else others).append(sample)
        if len(good) == count:
            return good
    others.sort(key=_other_labels, reverse=True)
    return good + others[: count - len(good)]


def _other_labels(sample: Sample) -> float:
    """Fraction of pixels outside the most common label; 1 without labels."""
    if sample.labels is None:
        return 1.0
    return 1 - float(np.bincount(sample.labels.ravel()).max()) / sample.labels.size
