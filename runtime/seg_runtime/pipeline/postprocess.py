"""Convert logits to probabilities and count labels, with numpy only, for any number of spatial axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def activate(logits: NDArray[np.float32], activation: str) -> NDArray[np.float32]:
    """Convert logits `(K, *spatial)` to probabilities, float32, 0..1.

    Args:
        logits: logits of a window or a whole image.
        activation: `softmax` over the K maps, or `sigmoid` of each.
    """
    if activation == "softmax":
        powers = np.exp(logits - logits.max(axis=0, keepdims=True))
        result: NDArray[np.float32] = powers / powers.sum(axis=0, keepdims=True)
        return result
    half = np.tanh(logits / 2)  # the sigmoid, without overflow
    return np.asarray((half + 1) / 2, np.float32)


def count_labels(labels: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count the pixels per class of labels `(*spatial)`, in blocks, since numpy makes 64-bit copies to count."""
    rows = max(1, (1 << 20) // labels[0].size)
    counts = np.zeros(classes, np.int64)
    for start in range(0, len(labels), rows):
        counts += np.bincount(labels[start : start + rows].ravel(), minlength=classes)
    return counts
