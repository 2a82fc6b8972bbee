"""Dice, IoU and pixel error, plain functions of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Confusion = NDArray[np.int64]
Score = NDArray[np.float64]
EMPTY_DICE = {"skip": np.nan, "one": 1.0}
"""Dice and IoU of a class in an image that neither holds it nor is said to: does not count, or a whole success, as in
challenges where finding nothing in healthy people is half of the task."""


def confusion(truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int) -> Confusion:
    """Pixel counts `(K, K)`: rows are true classes, columns predicted ones. Both inputs `(H, W)` class indices."""
    pairs = truth.astype(np.int64) * classes + labels
    return np.bincount(pairs.ravel(), minlength=classes * classes).reshape(classes, classes)


def dice(counts: Confusion) -> Score:
    """2·|A∩B| / (|A| + |B|) per class; NaN for a class in neither."""
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return _ratio(2 * np.diag(counts), total)


def iou(counts: Confusion) -> Score:
    """|A∩B| / |A∪B| per class; NaN for a class in neither."""
    hits = np.diag(counts)
    return _ratio(hits, counts.sum(axis=0) + counts.sum(axis=1) - hits)


def pixel_error(counts: Confusion) -> float:
    """Share of pixels with a wrong class."""
    return float(1 - np.trace(counts) / counts.sum())


def summary(per_image: Sequence[Confusion], names: Sequence[str], empty_dice: str = "skip") -> dict[str, Any]:
    """Scores averaged over images, each image counting the same, a class counting where it occurs or is predicted.

    Args:
        per_image: counts.
        names: of the classes.
        empty_dice: of `EMPTY_DICE`.

    Returns:
        `{"images": n, "pixel_error": e, "mean_dice": d, "classes": [{"name", "dice", "iou"}, ...]}`; a class that
        occurs nowhere has None.
    """
    empty = EMPTY_DICE[empty_dice]
    dices = over_images([np.nan_to_num(dice(c), nan=empty) for c in per_image])
    ious = over_images([np.nan_to_num(iou(c), nan=empty) for c in per_image])
    return {
        "images": len(per_image),
        "pixel_error": float(np.mean([pixel_error(c) for c in per_image])),
        "mean_dice": float(np.nanmean(dices)),
        "classes": [
            {"name": name, "dice": _number(d), "iou": _number(i)} for name, d, i in zip(names, dices, ious, strict=True)
        ],
    }


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Score:
    ratio = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def over_images(rows: Sequence[Score]) -> Score:
    """Mean of scores per class, each image counting the same, a class counting where it has a score; NaN where it has none."""
    table = np.stack(rows)
    seen = ~np.isnan(table)
    return _ratio(np.where(seen, table, 0).sum(axis=0), seen.sum(axis=0))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
