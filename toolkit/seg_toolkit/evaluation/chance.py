"""How far a score of a few images may be from that of many: chance, and which images show it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

_LEVEL = 0.95


def interval(
    mean: float, scores: Sequence[float], lowest: float = -math.inf, highest: float = math.inf
) -> tuple[float, float] | None:
    """Compute the 95 % confidence interval of a mean score from the scores of the images, by Student's t distribution.

    Args:
        mean: the mean score.
        scores: scores of the images.
        lowest: smallest possible score.
        highest: largest possible score.

    Returns:
        The ends of the interval; None for fewer than two images, which say nothing about how scores vary.

    >>> interval(0.8, [0.7, 0.8, 0.9])  # 0.8 ± 4.303 · 0.1 / √3
    (0.5516, 1.0484)
    >>> interval(0.8, [0.7, 0.8, 0.9], 0, 1)
    (0.5516, 1)
    >>> interval(0.8, [0.8])
    """
    known = [score for score in scores if math.isfinite(score)]
    if len(known) < 2:
        return None
    t = float(special.stdtrit(len(known) - 1, (1 + _LEVEL) / 2))
    half = t * float(np.std(known, ddof=1)) / math.sqrt(len(known))
    low, high = (round(end, 4) for end in (mean - half, mean + half))
    return max(lowest, low), min(highest, high)


def telling(scores: Sequence[float], kinds: Sequence[str]) -> list[tuple[int, str]]:
    """Choose the images that show what a model can and cannot do: the worst, the median and the best of each kind.

    Args:
        scores: score of each image; higher is better. Images with NaN are not chosen.
        kinds: kind of each image, such as `grey`.

    Returns:
        The index of each image, with what it is; an image that is several of these is returned once.

    >>> telling([0.9, 0.2, 0.5, 0.7, 0.6], ["grey"] * 5)
    [(1, 'worst'), (4, 'median'), (0, 'best')]
    >>> telling([0.9, 0.2], ["grey", "colour"])
    [(0, 'only grey image'), (1, 'only colour image')]
    """
    found: list[tuple[int, str]] = []
    several = len(set(kinds)) > 1
    for kind in dict.fromkeys(kinds):
        order = sorted(
            (i for i, of in enumerate(kinds) if of == kind and not math.isnan(scores[i])), key=lambda i: scores[i]
        )
        of = f" {kind} image" if several else ""
        if not order:
            continue
        if len(order) == 1:
            found.append((order[0], f"only{of or ' image'}"))
            continue
        places = {"worst": 0, "median": len(order) // 2, "best": len(order) - 1}
        if len(order) == 2:
            del places["median"]
        found += [(order[place], f"{name}{of}") for name, place in places.items()]
    return found
