"""Measures in addition to Dice and IoU, by name: `--metrics hd95,surface-dice=2,rand,voi`. Lengths are in px or voxels.

Measures of surfaces give one number per class, measures of objects one number per image. Scores are means over images
with equal weights; a class is left out of images where it has no score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError, OptionsError, require_extra

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
        tolerance_px: tolerance of `surface-dice`, else None.
    """

    name: str
    tolerance_px: float | None = None

    @property
    def text(self) -> str:
        """Name in `--metrics`, tables and JSON."""
        return self.name if self.tolerance_px is None else f"{self.name}={self.tolerance_px:g}"

    @classmethod
    def parse(cls, text: str) -> tuple[Measure, ...]:
        """Parse `--metrics`: measures separated by commas, or `none`.

        Raises:
            OptionsError: if a measure is unknown or repeated, or a tolerance is missing, invalid or not allowed.
        """
        measures: list[Measure] = []
        for part in text.split(",") if text not in ("", _NONE) else ():
            name, equals, value = part.strip().partition("=")
            if name not in _SURFACES + _OBJECTS or bool(equals) != (name == "surface-dice"):
                problem = f"--metrics has {part.strip() or text!r}"
                raise OptionsError(problem, _KNOWN, "choose from these, separated by commas")
            found = cls(name, _tolerance(part, value) if equals else None)
            if found in measures:
                raise OptionsError(f"--metrics has {found.text} twice", "", "give each measure once")
            measures.append(found)
        return tuple(measures)

    def check_installed(self) -> None:
        """Check that the package that the measure needs is installed.

        Raises:
            SegError: if it is missing; the message names the package and the extra.
        """
        require_extra("metrics", "surface_distance" if self.name in _SURFACES else "skimage")


def _tolerance(part: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        expected = "a tolerance in px, 0 or more"
        raise OptionsError(f"--metrics has {part.strip()}", expected, "write it like surface-dice=2")
    return number


def measure(
    measures: Sequence[Measure], example: Example, labels: NDArray[np.uint8], classes: Sequence[ClassValues],
    empty: str = "skip", name: str = "the image",
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Compute measures of one image.

    If the reader added a ring to the ground truth (`ring.py`), the boundary is the middle line of the ring. The predicted
    ring is replaced by the nearest class, and the result is compared with the ground truth without the ring. So the
    outline of the object is measured, whatever the width of the ring.

    Args:
        measures: measures to compute.
        example: image and ground truth.
        labels: predicted labels, `(*spatial)` uint8.
        classes: classes of the model.
        empty: key of `metrics.EMPTY_DICE`, the score of a class in neither ground truth nor prediction.
        name: name of the case, for errors.

    Returns:
        Scores `(K,)` of the classes or `(1,)` of the image, by the text of the measure. NaN is left out of means.

    Raises:
        DataError: if a surface measure is used on an image that is only partly annotated.
    """
    ring = next((i for i, c in enumerate(classes) if RING in c.values), None)
    if ring is not None and example.plain is not None:
        example, labels = replace(example, labels=example.plain), without_ring(labels, ring)
    surfaces = [m for m in measures if m.name in _SURFACES]
    objects = [m.name for m in measures if m.name in _OBJECTS]
    scores: dict[str, NDArray[np.float64]] = {}
    if surfaces:
        if example.known is not None and not example.known.all():
            problem = f"--metrics {surfaces[0].text} needs annotations everywhere, but {name} is only partly annotated"
            advice = f"leave out {surfaces[0].text}, since a surface may lie in a part without annotations"
            raise DataError(problem, "", advice)
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
    """Add the mean measures of images to a `metrics.label_summary`; None if no image has a score.

    Measures per class are added to its entry `classes`.
    """
    full = {**summary, "classes": [dict(entry) for entry in summary["classes"]]}
    for key in rows[0] if rows else ():
        mean = [or_none(value) for value in over_images([row[key] for row in rows])]
        if len(mean) == 1:
            full[key] = mean[0]
        else:
            for entry, value in zip(full["classes"], mean, strict=True):
                entry[key] = value
    return full
