"""What a short training of a recipe is, and the trivial answer that it must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TINY = ("--width", "8", "--depth", "2", "--input-size", "108", "--batch-size", "2", "--lr", "0.006")
"""A U-Net that a processor trains in seconds: windows of 108 px answer for 68."""
Guess = Callable[[Array], Array]
"""What somebody answers for an image `(*spatial, C)` who has learned nothing: labels `(*spatial)`, or values `(K, *spatial)`."""


@dataclass(frozen=True)
class Short:
    """A training of half a minute.

    Attributes:
        options: of seg-train, before those of the recipe.
        count: cases to make, of which a fifth is kept for validation.
        guess: the trivial baseline.
        baseline: what that is, in words.
        export: options of seg-export.
        gain: by how much, at least, it beats the baseline, in units of the score.
    """

    options: tuple[str, ...]
    count: int
    guess: Guess
    baseline: str
    export: dict[str, Any] = field(default_factory=dict)
    gain: float = 0.02


def nothing(image: Array) -> Array:
    """The background everywhere."""
    return np.zeros(image.shape[:-1], np.uint8)


def brighter_than_the_middle(image: Array) -> Array:
    """What is brighter than the middle between the darkest and the brightest pixel."""
    grey = image.mean(axis=-1)
    return (grey > (grey.min() + grey.max()) / 2).astype(np.uint8)
