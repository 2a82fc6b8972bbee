"""Logits and Grid -> stitched labels and probabilities. numpy only, any number of spatial axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import Contract
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

    `argmax` takes the largest logit, the first of equals. `threshold` takes the largest class of those whose
    probability reaches the threshold, the background (0) where none does.
    """
    if len(logits) == 2 and contract.decision == "argmax":
        second: NDArray[np.bool_] = logits[1] > logits[0]  # the same answer as argmax, several times faster
        return second.view(np.uint8)
    labels: NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
    if contract.decision == "threshold":
        with np.errstate(divide="ignore"):
            limit = np.log(np.float64(contract.threshold)) - np.log1p(-np.float64(contract.threshold))
        labels[logits.max(axis=0) < limit] = 0
    return labels


def margins(logits: Float, contract: Contract) -> Float:
    """How far each pixel is from another label, in logits: top-1 minus top-2, or the distance to the threshold."""
    if contract.decision == "threshold":
        limit = np.log(contract.threshold) - np.log1p(-contract.threshold)
        return np.asarray(np.abs(logits - limit).min(axis=0), np.float32)
    top = np.partition(logits, len(logits) - 2, axis=0)[-2:]
    return np.asarray(top[1] - top[0], np.float32)


def stitch(pieces: Iterable[Array], grid: Grid, into: Array) -> Array:
    """Place the answers of all windows into one array.

    Args:
        pieces: `(..., *output_shape)` per window, in the order of `grid.origins()`.
        grid: the plan that the windows were cut by.
        into: `(..., *grid.shape)`; filled and returned.
    """
    for origin, piece in zip(grid.origins(), pieces, strict=True):
        where, inside = grid.core(origin)
        target: tuple[Any, ...] = (..., *where)
        source: tuple[Any, ...] = (..., *inside)
        into[target] = piece[source]
    return into
