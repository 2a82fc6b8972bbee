"""Logits and Grid -> stitched labels, probabilities or values. numpy only, any number of spatial axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.contract import Contract, OutputInfo
from .preprocess import Array, Float, Grid


def activate(logits: Float, contract: Contract) -> Float:
    """Probabilities of logits `(K, *spatial)`: softmax over the classes or a sigmoid per class, float32, 0..1."""
    if contract.activation == "softmax":
        powers = np.exp(logits - logits.max(axis=0, keepdims=True))
        result: Float = powers / powers.sum(axis=0, keepdims=True)
        return result
    half = np.tanh(logits / 2)  # the sigmoid, without overflow
    return np.asarray((half + 1) / 2, np.float32)


def decide(logits: Float, contract: Contract) -> NDArray[np.uint8]:
    """Class index of each pixel from logits `(K, *spatial)`.

    `argmax` takes the largest logit, the first of equals. `threshold` takes, of the classes after the background, the
    largest whose probability reaches the threshold, and the background (0) where none does.
    """
    if len(logits) == 2 and contract.decision == "argmax":
        second: NDArray[np.bool_] = logits[1] > logits[0]  # the same answer as argmax, several times faster
        return second.view(np.uint8)
    if contract.decision == "argmax":
        labels: NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
        return labels
    best = (1 + logits[1:].argmax(axis=0)).astype(np.uint8)
    return np.where(logits[1:].max(axis=0) >= threshold_logit(contract), best, 0).astype(np.uint8)


def margins(logits: Float, contract: Contract) -> Float:
    """How far each pixel is from another label, in logits: from the second class, or from the threshold if nearer."""
    if contract.decision == "argmax":
        top = np.partition(logits, len(logits) - 2, axis=0)[-2:]
        return np.asarray(top[1] - top[0], np.float32)
    first, gap = logits[1:].max(axis=0), np.abs(logits[1:].max(axis=0) - threshold_logit(contract))
    if len(logits) > 2:
        top = np.partition(logits[1:], len(logits) - 3, axis=0)[-2:]
        gap = np.where(first >= threshold_logit(contract), np.minimum(gap, top[1] - top[0]), gap)
    return np.asarray(gap, np.float32)


def threshold_logit(contract: Contract) -> np.float64:
    """The threshold of the decision `threshold` as a logit, possibly infinite."""
    with np.errstate(divide="ignore"):
        return np.float64(np.log(contract.threshold) - np.log1p(-np.float64(contract.threshold)))


def to_units(answer: Float, outputs: Sequence[OutputInfo]) -> Float:
    """Values in the units of the training targets, `offset + scale * y` in float32, of a network's answer `(K, *spatial)`."""
    offset, scale = _per_output(outputs, (-1, *(1,) * (answer.ndim - 1)))
    return answer * scale + offset


def from_units(values: Float, outputs: Sequence[OutputInfo]) -> Float:
    """The way back, with the outputs last: what a network is to give for targets `(*spatial, K)`."""
    offset, scale = _per_output(outputs, (-1,))
    return (values - offset) / scale


def _per_output(outputs: Sequence[OutputInfo], shape: tuple[int, ...]) -> tuple[Float, Float]:
    return (
        np.array([o.offset for o in outputs], np.float32).reshape(shape),
        np.array([o.scale for o in outputs], np.float32).reshape(shape),
    )


def stitch(pieces: Iterable[Array], grid: Grid, into: Array) -> Array:
    """Place the answers of all windows into one array.

    Args:
        pieces: `(..., *output_shape)` per window, in the order of `grid.origins()`.
        grid: the plan that the windows were cut by.
        into: `(..., *grid.shape)`; filled and returned.
    """
    for origin, piece in zip(grid.origins(), pieces, strict=True):
        place(piece, grid, origin, into)
    return into


def place(piece: Array, grid: Grid, origin: tuple[int, ...], into: Array) -> None:
    """Place the answer `(..., *output_shape)` of the window at `origin` into `(..., *grid.shape)`."""
    where, inside = grid.core(origin)
    target: tuple[Any, ...] = (..., *where)
    source: tuple[Any, ...] = (..., *inside)
    into[target] = piece[source]
