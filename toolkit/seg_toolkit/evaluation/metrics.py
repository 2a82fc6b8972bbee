"""Scores as plain functions: Dice, IoU and pixel error of labels; MAE, RMSE, PSNR and SSIM of values.

PSNR and SSIM are those of scikit-image. It is maintained, takes numpy arrays of any range, and is what papers in
microscopy and remote sensing report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import require_extra

Confusion = NDArray[np.int64]
Score = NDArray[np.float64]
EMPTY_DICE = {"skip": np.nan, "one": 1.0}
"""Dice and IoU of a class in neither ground truth nor prediction: left out of the mean, or 1, as in challenges where
finding nothing in healthy people is half of the task."""
VALUE_METRICS = ("mae", "rmse", "psnr", "ssim")
BEST_DB = 120.0
"""Largest PSNR in dB, for values that differ by a millionth of the range or less, the precision of float32."""
_WINDOW_PX = 11  # window of SSIM in Wang et al. 2004


def confusion(truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int) -> Confusion:
    """Count pixels `(K, K)` from two `(H, W)` arrays of class indices: rows are true classes, columns predicted classes."""
    pairs = truth.astype(np.int64) * classes + labels
    return np.bincount(pairs.ravel(), minlength=classes * classes).reshape(classes, classes)


def dice(counts: Confusion) -> Score:
    """2·|A∩B| / (|A| + |B|) per class; NaN for a class that occurs in neither."""
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return _ratio(2 * np.diag(counts), total)


def iou(counts: Confusion) -> Score:
    """|A∩B| / |A∪B| per class; NaN for a class that occurs in neither."""
    hits = np.diag(counts)
    return _ratio(hits, counts.sum(axis=0) + counts.sum(axis=1) - hits)


def pixel_error(counts: Confusion) -> float:
    """Fraction of pixels with a wrong class."""
    return float(1 - np.trace(counts) / counts.sum())


def label_summary(per_image: Sequence[Confusion], names: Sequence[str], empty_dice: str = "skip") -> dict[str, Any]:
    """Average scores over images with equal weights. A class counts in images where it occurs or is predicted.

    Args:
        per_image: pixel counts of each image.
        names: names of the classes.
        empty_dice: key of `EMPTY_DICE`.

    Returns:
        `{"images": n, "pixel_error": e, "mean_dice": d, "classes": [{"name", "dice", "iou"}, ...], "pixels": {"true": [...],
        "found": [...], "right": [...]}}`, with None for a class that never occurs, and the pixels of all images for each class.
    """
    empty, total = EMPTY_DICE[empty_dice], np.sum(per_image, axis=0)
    dices = over_images([np.nan_to_num(dice(c), nan=empty) for c in per_image])
    ious = over_images([np.nan_to_num(iou(c), nan=empty) for c in per_image])
    return {
        "images": len(per_image),
        "pixel_error": float(np.mean([pixel_error(c) for c in per_image])),
        "mean_dice": float(np.nanmean(dices)),
        "classes": [
            {"name": name, "dice": or_none(d), "iou": or_none(i)} for name, d, i in zip(names, dices, ious, strict=True)
        ],
        "pixels": {
            "true": total.sum(axis=1).tolist(),
            "found": total.sum(axis=0).tolist(),
            "right": np.diag(total).tolist(),
        },
    }


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Score:
    ratio = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def over_images(rows: Sequence[Score]) -> Score:
    """Average scores per class over images with equal weights, ignoring NaN; NaN for a class without scores."""
    table = np.stack(rows)
    seen = ~np.isnan(table)
    return _ratio(np.where(seen, table, 0).sum(axis=0), seen.sum(axis=0))


def or_none(value: float) -> float | None:
    """Convert a score for JSON: NaN becomes None."""
    return None if np.isnan(value) else float(value)


def value_scores(
    truth: NDArray[np.float32], answer: NDArray[np.float32], ranges: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    """Compute `VALUE_METRICS` of each output.

    Args:
        truth: `(K, *spatial)` true values in the units of the outputs.
        answer: `(K, *spatial)` predicted values.
        ranges: K differences between the largest and the smallest value of each output: the peak of PSNR and the range of
            SSIM.

    Returns:
        Arrays `(K,)` float64: MAE and RMSE in the unit of the output, PSNR in dB up to `BEST_DB`, SSIM up to 1 with the
        Gaussian window of its paper, NaN for images smaller than that window.
    """
    rows = [_of_output(t, a, extent) for t, a, extent in zip(truth, answer, ranges, strict=True)]
    return {name: np.array(values) for name, values in zip(VALUE_METRICS, zip(*rows, strict=True), strict=True)}


def _of_output(
    truth: NDArray[np.float32], answer: NDArray[np.float32], extent: float
) -> tuple[float, float, float, float]:
    require_extra("train", "skimage")
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    wide, other = truth.astype(np.float64), answer.astype(np.float64)
    errors = other - wide
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean()))
    if not np.isfinite(rmse):
        return mae, rmse, -np.inf, np.nan
    with np.errstate(divide="ignore"):  # if all values are equal
        ratio = float(peak_signal_noise_ratio(wide, other, data_range=extent))
    similar = np.nan
    if min(truth.shape) >= _WINDOW_PX:
        similar = float(structural_similarity(
            wide, other, data_range=extent, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        ))  # fmt: skip
    return mae, rmse, min(BEST_DB, ratio), similar
