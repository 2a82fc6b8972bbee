"""Distances between predicted and true surfaces per class: HD95 and surface Dice, in px or in mm.

They are computed by surface-distance, the code of the authors of the surface Dice (Nikolov et al. 2021, doi
10.2196/26151): 20 kB on numpy and scipy, while MONAI and medpy are far larger. Its surfaces run between the pixels.
Each element is weighted by its length, in volumes by its area. An object that the image border cuts off has a surface
there.

A class in only one of ground truth and prediction has surface Dice 0. Its HD95 is the diagonal of the image, the largest
possible distance (as in BraTS: 373 for 240×240×155 voxels). A class in neither does not count; with `--empty-dice one`
it has surface Dice 1 and HD95 0.
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
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int, tolerances: Sequence[float | None], empty: str,
    sides: Sequence[float] = (),
) -> list[NDArray[np.float64]]:  # fmt: skip
    """Compute scores `(K,)` for each tolerance, NaN for a class that does not count.

    Args:
        truth: `(H, W)` or `(D, H, W)` true class indices.
        labels: predicted class indices of the same shape.
        classes: number of classes K.
        tolerances: tolerances of the surface Dice; None for HD95.
        empty: key of `metrics.EMPTY_DICE`.
        sides: sides of a pixel along each axis, in the unit of tolerances and results; empty for 1.
    """
    sides = sides or (1.0,) * truth.ndim
    rows = [_of_class(truth == index, labels == index, tolerances, empty, sides) for index in range(classes)]
    return [np.array(scores) for scores in zip(*rows, strict=True)]


def _of_class(
    truth: _Mask, answer: _Mask, tolerances: Sequence[float | None], empty: str, sides: Sequence[float]
) -> list[float]:
    if not truth.any() and not answer.any():
        return [(0.0 if t is None else 1.0) if empty == "one" else math.nan for t in tolerances]
    if not truth.any() or not answer.any():
        diagonal = math.hypot(*(n * side for n, side in zip(truth.shape, sides, strict=True)))
        return [diagonal if t is None else 0.0 for t in tolerances]
    from surface_distance import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses deprecated names of scipy
        found = metrics.compute_surface_distances(truth, answer, tuple(sides))
    return [
        float(metrics.compute_robust_hausdorff(found, _PERCENT))
        if tolerance is None
        else float(metrics.compute_surface_dice_at_tolerance(found, tolerance))
        for tolerance in tolerances
    ]
