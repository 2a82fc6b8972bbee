"""How far the surface of an answer is from the true one, class by class: HD95 and surface Dice, in px or voxels.

By surface-distance, the code of the authors of the surface Dice (Nikolov et al. 2021, doi 10.2196/26151), 20 kB on numpy and
scipy; MONAI and medpy are far larger. Its surfaces run between the pixels, each piece is weighted by its length (in volumes by its
area), and an object that the image cuts off ends in a surface there.

An object that only one of the two holds has surface Dice 0, and as its HD95 the diagonal of the image, which no distance in it
exceeds (as in BraTS, 373 of 240×240×155 voxels). An object that neither holds does not count; with `--empty-dice one` it has surface
Dice 1 and HD95 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_PERCENT = 95
_Mask = NDArray[np.bool_]


def surface_scores(
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int, tolerances_px: Sequence[float | None], empty: str
) -> list[NDArray[np.float64]]:
    """`(K,)` scores for each tolerance, NaN for a class that does not count.

    Args:
        truth: `(H, W)` or `(D, H, W)` class indices.
        labels: the answer, likewise.
        classes: K.
        tolerances_px: of the surface Dice; None for HD95.
        empty: of `metrics.EMPTY_DICE`.
    """
    rows = [_of_class(truth == index, labels == index, tolerances_px, empty) for index in range(classes)]
    return [np.array(scores) for scores in zip(*rows, strict=True)]


def _of_class(truth: _Mask, answer: _Mask, tolerances_px: Sequence[float | None], empty: str) -> list[float]:
    if not truth.any() and not answer.any():
        return [(0.0 if t is None else 1.0) if empty == "one" else math.nan for t in tolerances_px]
    if not truth.any() or not answer.any():
        return [math.hypot(*truth.shape) if t is None else 0.0 for t in tolerances_px]
    from surface_distance import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy by names of old
        found = metrics.compute_surface_distances(truth, answer, (1.0,) * truth.ndim)
    return [
        float(metrics.compute_robust_hausdorff(found, _PERCENT))
        if tolerance is None
        else float(metrics.compute_surface_dice_at_tolerance(found, tolerance))
        for tolerance in tolerances_px
    ]
