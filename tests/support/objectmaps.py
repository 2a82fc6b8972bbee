"""Maps of objects with everything that files of objects get wrong, and results that hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import Place
from seg_runtime.model import ClassInfo, LabelSpec
from seg_runtime.segmentation import Segmentation

from .contracts import contract

THREE = (
    ClassInfo("background", (0, 0, 0)),
    ClassInfo("nucleus", (230, 60, 60)),
    ClassInfo("Zellwand, außen", (60, 200, 90)),
)

ODD = np.array(
    [  # a ring with a hole and an object in it, at a corner; pieces; diagonal neighbours; single pixels; holes that touch
        [1, 1, 1, 1, 1, 0, 0, 3, 3, 0, 4],
        [1, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0],
        [1, 0, 2, 0, 1, 0, 3, 0, 0, 5, 0],
        [1, 0, 0, 0, 1, 0, 3, 3, 5, 0, 0],
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 6, 6, 6, 6, 0, 7],
        [8, 0, 8, 0, 0, 6, 0, 6, 6, 0, 7],
        [0, 8, 0, 0, 0, 6, 6, 0, 6, 7, 7],
        [9, 9, 9, 9, 9, 6, 6, 6, 6, 7, 0],
    ],
    np.int32,
)
"""`(9, 11)` ids 1 to 9."""


def result_of(
    ids: NDArray[Any],
    image: NDArray[Any] | None = None,
    place: Place = Place(),  # noqa: B008 - frozen
    classes: Any = THREE,
) -> Segmentation:
    """A result with these objects; those with odd ids have the first class, the others the second.

    A model of three classes has found it, and gives each pixel of class k the probability (k + 1) / 4.
    """  # fmt: skip
    ids = ids.astype(np.int32)
    if image is None:
        image = np.random.default_rng(ids.size).integers(0, 200, (*ids.shape, 2)).astype(np.uint8)
    labels = np.where(ids > 0, 2 - ids % 2, 0).astype(np.uint8)
    scores = np.full((3, *ids.shape), 0.25, np.float32) * np.arange(1, 4).reshape(3, *[1] * ids.ndim)
    how = replace(contract(252), answer=LabelSpec(classes))
    found = Segmentation(
        labels, {"warnings": []}, image, how, place, lambda _: scores.astype(np.float32), scores.astype(np.float32)
    )
    found.__dict__["objects"] = ids
    return found
