"""Measures beyond Dice and IoU, by name: `--metrics hd95,surface-dice=2,rand,voi`. All lengths are in px or voxels.

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
from seg_runtime.support import DataError, SegError, require_extra

from ..data import RING, ClassValues, Example, without_ring
from .metrics import or_none, over_images
from .objects import object_scores
from .surfaces import surface_scores

_SURFACES, _OBJECTS = ("hd95", "surface-dice"), ("rand", "voi")
_KNOWN = "hd95, surface-dice=PX, rand, voi"
_NONE = "none"


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: `hd95`, `surface-dice`, `rand` or `voi`.
        tolerance_px: of `surface-dice`; else None.
    """

    name: str
    tolerance_px: float | None = None

    @property
    def text(self) -> str:
        """As `--metrics`, tables and JSON name it."""
        return self.name if self.tolerance_px is None else f"{self.name}={self.tolerance_px:g}"

    @classmethod
    def parse(cls, text: str) -> tuple[Measure, ...]:
        """The value of `--metrics`: measures with commas between them, or `none`.

        Raises:
            SegError: no such measure, one twice, or a tolerance that is missing, not a number of px, or out of place.
        """
        measures: list[Measure] = []
        for part in text.split(",") if text not in ("", _NONE) else ():
            name, equals, value = part.strip().partition("=")
            if name not in _SURFACES + _OBJECTS or bool(equals) != (name == "surface-dice"):
                raise SegError(f"--metrics {part.strip() or text}", _KNOWN, "choose among them, with commas between")
            found = cls(name, _tolerance(part, value) if equals else None)
            if found in measures:
                raise SegError(f"--metrics with {found.text} twice", "each once", "leave one out")
            measures.append(found)
        return tuple(measures)

    def check_installed(self) -> None:
        """Refuse to go on where the package is missing that it needs.

        Raises:
            SegError: names the package and the extra.
        """
        require_extra("metrics", "surface_distance" if self.name in _SURFACES else "skimage")


def _tolerance(part: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise SegError(f"--metrics {part.strip()}", "a tolerance in px, 0 or more", "such as surface-dice=2")
    return number


def measure(
    measures: Sequence[Measure], example: Example, labels: NDArray[np.uint8], classes: Sequence[ClassValues],
    empty: str = "skip", name: str = "the image",
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """The measures of one image.

    Where the reader drew a ring into the ground truth (`ring.py`), the boundary has no surface of its own: it is the line in
    the middle of the ring. The ring of the answer is given to the class that is nearer, and that is compared with the ground
    truth before the ring. So the outline of the object is measured, however wide the ring is.

    Args:
        measures: what to measure.
        example: image and ground truth.
        labels: `(*spatial)` uint8, the answer.
        classes: of the model.
        empty: of `metrics.EMPTY_DICE`, the score of a class that neither holds.
        name: of the case, for errors.

    Returns:
        For each measure's text `(K,)` scores of the classes, or `(1,)` of the image; NaN does not count.

    Raises:
        DataError: surfaces of an image that is annotated in part only.
    """
    ring = next((i for i, c in enumerate(classes) if RING in c.values), None)
    if ring is not None and example.plain is not None:
        example, labels = replace(example, labels=example.plain), without_ring(labels, ring)
    surfaces = [m for m in measures if m.name in _SURFACES]
    objects = [m.name for m in measures if m.name in _OBJECTS]
    scores: dict[str, NDArray[np.float64]] = {}
    if surfaces:
        if example.known is not None and not example.known.all():
            problem = f"--metrics {surfaces[0].text} of {name}, of which only parts are annotated"
            raise DataError(problem, "ground truth everywhere", "leave it out, since a surface may lie in such a part")
        tolerances = [m.tolerance_px for m in surfaces]
        found = surface_scores(example.labels, labels, len(classes), tolerances, empty)
        scores = {m.text: values for m, values in zip(surfaces, found, strict=True)}
        if ring is not None:
            for values in scores.values():
                values[ring] = np.nan
    if objects:
        scores |= object_scores(example.labels, labels, objects, example.instances, example.known)
    return scores


def with_measures(summary: Mapping[str, Any], rows: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, Any]:
    """A `metrics.label_summary` with the measures of its images, those of classes in `classes`; None where nothing counts."""
    full = {**summary, "classes": [dict(entry) for entry in summary["classes"]]}
    for key in rows[0] if rows else ():
        mean = [or_none(value) for value in over_images([row[key] for row in rows])]
        if len(mean) == 1:
            full[key] = mean[0]
        else:
            for entry, value in zip(full["classes"], mean, strict=True):
                entry[key] = value
    return full
