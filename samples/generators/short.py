"""Short trainings of recipes, and trivial baselines that they must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TINY = ("--width", "8", "--depth", "2", "--input-size", "108", "--batch-size", "2", "--lr", "0.006")
"""A U-Net that trains in seconds on a CPU: windows of 108 px with an output of 68 px."""
Guess = Callable[[Array], Array]
"""A baseline without training: image `(*spatial, C)` -> labels `(*spatial)`, or values `(K, *spatial)`."""


@dataclass(frozen=True)
class Short:
    """A training of half a minute.

    Attributes:
        options: options of seg-train, which override those of the recipe.
        count: number of cases; a fifth is used for validation.
        guess: the trivial baseline.
        baseline: description of the baseline.
        export: options of seg-export.
        gain: smallest gain over the baseline, in units of the score.
    """

    options: tuple[str, ...]
    count: int
    guess: Guess
    baseline: str
    export: dict[str, Any] = field(default_factory=dict)
    gain: float = 0.02


def nothing(image: Array) -> Array:
    """Predict background everywhere."""
    return np.zeros(image.shape[:-1], np.uint8)


def brighter_than_the_middle(image: Array) -> Array:
    """Predict what is brighter than the mean of the darkest and the brightest pixel."""
    grey = image.mean(axis=-1)
    return (grey > (grey.min() + grey.max()) / 2).astype(np.uint8)
