"""How far the surface of an answer is from the true one, class by class: HD95 and surface Dice, in px or voxels.

By surface-distance, the code of those who defined the surface Dice (Nikolov et al. 2021, doi 10.2196/26151), 20 kB on numpy and
scipy that we have; MONAI and medpy bring far more for these two numbers. Its surfaces run between the pixels, each piece
weighs as much as it is long (in volumes: wide), and an object that the image cuts off ends in a surface there.

An object that only one of the two holds has surface Dice 0, and as its HD95 the diagonal of the image, which no distance in it
exceeds (as in BraTS, 373 of 240×240×155 voxels). An object that neither holds does not count; with `--empty-dice one` it has surface
Dice 1 and HD95 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..metrics import Score

if TYPE_CHECKING:
    from . import Wish

PERCENT = 95
Mask = NDArray[np.bool_]


def surface_scores(
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int, wishes: Sequence[Wish], empty: str
) -> dict[str, Score]:
    """`(K,)` scores for each wish's text, NaN for a class that does not count.

    Args:
        truth: `(H, W)` or `(D, H, W)` class indices.
        labels: the answer, likewise.
        classes: K.
        wishes: `hd95` and `surface-dice`.
        empty: of `metrics.EMPTY_DICE`.
    """
    rows = [_of_class(truth == index, labels == index, wishes, empty) for index in range(classes)]
    return {wish.text: np.array([row[place] for row in rows]) for place, wish in enumerate(wishes)}


def _of_class(truth: Mask, answer: Mask, wishes: Sequence[Wish], empty: str) -> list[float]:
    if not truth.any() and not answer.any():
        best = {"hd95": 0.0, "surface-dice": 1.0}
        return [best[wish.name] if empty == "one" else math.nan for wish in wishes]
    if not truth.any() or not answer.any():
        worst = {"hd95": math.hypot(*truth.shape), "surface-dice": 0.0}
        return [worst[wish.name] for wish in wishes]
    from surface_distance import metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it calls scipy by names of old
        found = metrics.compute_surface_distances(truth, answer, (1.0,) * truth.ndim)
    return [
        float(metrics.compute_robust_hausdorff(found, PERCENT))
        if wish.name == "hd95"
        else float(metrics.compute_surface_dice_at_tolerance(found, wish.tolerance_px))
        for wish in wishes
    ]
