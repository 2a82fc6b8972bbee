"""Measures beyond Dice and IoU, asked for by name: `--metrics hd95,surface-dice=2,rand,voi`. All lengths are in px or voxels.

Each measure of surfaces gives a number for each class, each measure of objects one for the image. Over images the mean is taken, each
image counting the same, a class counting where it has a score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support.errors import DataError, SegError
from seg_runtime.support.extras import require_extra

from ...data.case import Example
from ...data.classes import ClassValues
from ...data.ring import RING, without_ring
from ..metrics import Score, over_images

SURFACES, OBJECTS = ("hd95", "surface-dice"), ("rand", "voi")
KNOWN = "hd95, surface-dice=PX, rand, voi"
NONE = "none"


@dataclass(frozen=True)
class Wish:
    """One measure that was asked for.

    Attributes:
        name: of SURFACES or OBJECTS.
        tolerance_px: of `surface-dice`.
    """

    name: str
    tolerance_px: float = 0.0

    @property
    def text(self) -> str:
        """As it is asked for, and as tables and JSON call it."""
        return f"{self.name}={self.tolerance_px:g}" if self.name == "surface-dice" else self.name


def parse(text: str) -> tuple[Wish, ...]:
    """What `--metrics` says: measures with commas between them, or `none`.

    Raises:
        SegError: no such measure, one twice, or a tolerance that is missing, no number of px, or out of place.
    """
    wishes: list[Wish] = []
    for part in text.split(",") if text not in ("", NONE) else ():
        name, equals, value = part.strip().partition("=")
        if name not in SURFACES + OBJECTS or bool(equals) != (name == "surface-dice"):
            raise SegError(f"--metrics {part.strip() or text}", KNOWN, "choose among them, with commas between")
        wish = Wish(name, _tolerance(part, value)) if equals else Wish(name)
        if wish in wishes:
            raise SegError(f"--metrics with {wish.text} twice", "each once", "leave one out")
        wishes.append(wish)
    return tuple(wishes)


def _tolerance(part: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise SegError(f"--metrics {part.strip()}", "a tolerance in px, 0 or more", "such as surface-dice=2")
    return number


def check_installed(wishes: Sequence[Wish]) -> None:
    """Refuse to go on where a package is missing that one of the measures needs.

    Raises:
        SegError: names the package and the extra.
    """
    for names, package in ((SURFACES, "surface_distance"), (OBJECTS, "skimage")):
        if any(wish.name in names for wish in wishes):
            require_extra("metrics", package)


def measure(
    wishes: Sequence[Wish], example: Example, labels: NDArray[np.uint8], classes: Sequence[ClassValues],
    empty: str = "skip", name: str = "the image",
) -> dict[str, Score]:  # fmt: skip
    """The measures of one image.

    Where the reader drew a ring into the ground truth (`ring.py`), the boundary is not a thing with surfaces of its own
    but the line in the middle of the ring. The answer's ring is given to the class that is nearer, and that is compared with
    the ground truth as it was before: what is measured is the outline of the object, wherever the ring put it.

    Args:
        wishes: what to measure.
        example: image and ground truth.
        labels: `(*spatial)` uint8, the answer.
        classes: of the model.
        empty: of `metrics.EMPTY_DICE`, what a class counts that neither holds.
        name: of the case, for errors.

    Returns:
        For each wish's text `(K,)` scores of the classes, or `(1,)` of the image; NaN does not count.

    Raises:
        DataError: surfaces of an image that is annotated in part only.
    """
    from .objects import object_scores  # scikit-image and surface-distance are an extra
    from .surfaces import surface_scores

    ring = next((i for i, c in enumerate(classes) if RING in c.values), None)
    if ring is not None and example.plain is not None:
        example, labels = replace(example, labels=example.plain), without_ring(labels, ring)
    surfaces, objects = ([w for w in wishes if w.name in names] for names in (SURFACES, OBJECTS))
    scores: dict[str, Score] = {}
    if surfaces:
        if example.known is not None and not example.known.all():
            came = f"--metrics {surfaces[0].text} of {name}, parts of which nobody annotated"
            raise DataError(came, "ground truth everywhere", "a surface may lie where nobody looked: leave it out")
        scores = surface_scores(example.labels, labels, len(classes), surfaces, empty)
        if ring is not None:
            for values in scores.values():
                values[ring] = np.nan
    if objects:
        scores |= object_scores(example, labels, objects)
    return scores


def with_measures(result: Mapping[str, Any], rows: Sequence[Mapping[str, Score]]) -> dict[str, Any]:
    """A `metrics.summary` with the measures of its images added, those of classes in `classes`; None where nothing counts."""
    full = {**result, "classes": [dict(entry) for entry in result["classes"]]}
    for key in rows[0] if rows else ():
        mean = [None if np.isnan(value) else float(value) for value in over_images([row[key] for row in rows])]
        if len(mean) == 1:
            full[key] = mean[0]
        else:
            for entry, value in zip(full["classes"], mean, strict=True):
                entry[key] = value
    return full
