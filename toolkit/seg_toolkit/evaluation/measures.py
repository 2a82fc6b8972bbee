"""Measures in addition to Dice and IoU, by name: `--metrics ap,f1,hd95,surface-dice=2,voi`. Lengths are in px or voxels,
and those of `hd95_mm` and `surface-dice=2mm` in mm.

Measures of surfaces give one number per class, measures of partitions one number per image. These are means over images
with equal weights; a class is left out of images where it has no score. Measures of objects are those of `instances`.

True objects are the instances of the data set, else the connected components of each class. Found objects are those of the
model, else the connected components of the classes that it found.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import components
from seg_runtime.support import DataError, OptionsError, millimetres, require_extra

from ..data import RING, ClassValues, Example, without_ring
from .instances import PARTS, ObjectScores, object_summary
from .metrics import or_none, over_images
from .objects import Ids, object_scores
from .surfaces import surface_scores

_SURFACES = ("hd95", "surface-dice")
PARTITIONS = ("rand", "voi")
"""Measures of a whole image."""
_KNOWN = f"{', '.join(PARTS)}, hd95, surface-dice=TOLERANCE, rand, voi"
_NONE = "none"


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: `hd95`, `surface-dice`, `rand`, `voi`, or a key of `instances.PARTS`.
        tolerance: tolerance of `surface-dice`, else None.
        unit: unit of the tolerance, such as `mm`; empty for px.
    """

    name: str
    tolerance: float | None = None
    unit: str = ""

    @property
    def text(self) -> str:
        """Name in `--metrics`, tables and JSON."""
        return self.name if self.tolerance is None else f"{self.name}={self.tolerance:g}{self.unit}"

    @property
    def tolerance_mm(self) -> float | None:
        """The tolerance in mm; None without a unit."""
        unit_mm = millimetres(self.unit)
        return None if unit_mm is None or self.tolerance is None else self.tolerance * unit_mm

    @classmethod
    def parse(cls, text: str) -> tuple[Measure, ...]:
        """Parse `--metrics`: measures separated by commas, or `none`.

        Raises:
            OptionsError: if a measure is unknown or repeated, or a tolerance is missing, invalid or not allowed.
        """
        measures: list[Measure] = []
        for part in text.split(",") if text not in ("", _NONE) else ():
            name, equals, value = part.strip().partition("=")
            if name not in (*_SURFACES, *PARTITIONS, *PARTS) or bool(equals) != (name == "surface-dice"):
                problem = f"--metrics has {part.strip() or text!r}"
                raise OptionsError(problem, _KNOWN, "choose from these, separated by commas")
            found = cls(name, *_tolerance(part, value)) if equals else cls(name)
            if found in measures:
                raise OptionsError(f"--metrics has {found.text} twice", "", "give each measure once")
            measures.append(found)
        return tuple(measures)

    @property
    def of_objects(self) -> bool:
        """Whether it counts objects, see `instances`."""
        return self.name in PARTS

    @property
    def of_surfaces(self) -> bool:
        """Whether it is a distance between surfaces, for which the size of a pixel matters."""
        return self.name in _SURFACES

    def check_installed(self) -> None:
        """Check that the package that the measure needs is installed.

        Raises:
            SegError: if it is missing; the message names the package and the extra.
        """
        require_extra("metrics", "surface_distance" if self.of_surfaces else "skimage")


def _tolerance(part: str, value: str) -> tuple[float, str]:
    """Return a tolerance and its unit, which may be empty."""
    found = re.fullmatch(r"([\d.e+-]*\d\.?)\s*([a-zµ]*)", value.strip())
    number = -1.0
    if found and (not found[2] or millimetres(found[2])):
        with contextlib.suppress(ValueError):
            number = float(found[1])
    if not 0 <= number < math.inf or not found:
        expected = "a tolerance of 0 or more in px, or with a unit of length"
        raise OptionsError(
            f"--metrics has {part.strip()}", expected, "write it like surface-dice=2 or surface-dice=1.5mm"
        )
    return number, found[2]


@dataclass(frozen=True)
class Measured:
    """Measures of one image.

    Attributes:
        scores: `(K,)` of the classes or `(1,)` of the image, by the text of the measure. NaN is left out of means.
        objects: scores of the objects; None if no measure counts objects.
    """

    scores: Mapping[str, NDArray[np.float64]]
    objects: ObjectScores | None = None


def measure(
    measures: Sequence[Measure], example: Example, labels: NDArray[np.uint8], classes: Sequence[ClassValues],
    empty: str = "skip", name: str = "the image", found: NDArray[np.int32] | None = None,
    spacing_mm: tuple[float, ...] = (),
) -> Measured:  # fmt: skip
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
        found: predicted ids of objects, `(*spatial)`; None uses the connected components of the labels.
        spacing_mm: sides of a pixel or voxel along each axis; empty if unknown.

    Raises:
        DataError: if a surface measure is used on an image that is only partly annotated, or a tolerance has a unit and the
            size of a pixel is unknown.
    """
    example, labels, ring = _without_ring(example, labels, classes)
    surfaces = [m for m in measures if m.of_surfaces]
    partitions = [m.name for m in measures if m.name in PARTITIONS]
    scores: dict[str, NDArray[np.float64]] = {}
    if surfaces:
        _check_surfaces(surfaces, example, name, spacing_mm)
        scores = _surfaces(surfaces, example.labels, labels, len(classes), empty, spacing_mm)
        if ring is not None:
            for values in scores.values():
                values[ring] = np.nan
    if partitions:
        scores |= object_scores(example.labels, labels, partitions, example.instances, example.known, found)
    if not any(m.of_objects for m in measures):
        return Measured(scores)
    return Measured(scores, ObjectScores.of(*_ids(example, labels, found), example.known))


def _check_surfaces(measures: Sequence[Measure], example: Example, name: str, spacing_mm: Sequence[float]) -> None:
    if example.known is not None and not example.known.all():
        problem = f"--metrics {measures[0].text} needs annotations everywhere, but {name} is only partly annotated"
        advice = f"leave out {measures[0].text}, since a surface may lie in a part without annotations"
        raise DataError(problem, "", advice)
    check_sized(measures, [(name, spacing_mm)])


def check_sized(measures: Sequence[Measure], sizes: Iterable[tuple[str, Sequence[float]]]) -> None:
    """Check that the size of pixels is known if a measure has a tolerance in a unit of length.

    Args:
        measures: the measures.
        sizes: names of images, and the sides of their pixels, which are empty if they are unknown. Not read without need.

    Raises:
        DataError: if the size of one is unknown.
    """
    sized = next((m for m in measures if m.unit), None)
    if sized and (lacking := next((name for name, sides in sizes if not sides), None)) is not None:
        problem = f"--metrics {sized.text} needs the size of a pixel, but {lacking} states none"
        raise DataError(problem, "", "give it with --pixel-size, or give the tolerance in px")


def _surfaces(
    measures: Sequence[Measure], truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: int, empty: str,
    spacing_mm: tuple[float, ...],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Compute measures of surfaces in px, and in mm those with a unit and HD95, if the size of a pixel is known."""
    in_px = {m.text: m.tolerance for m in measures if not m.unit}
    in_mm = {m.text: m.tolerance_mm for m in measures if m.unit}
    if spacing_mm:
        in_mm |= {f"{m.text}_mm": None for m in measures if m.tolerance is None}
    scores: dict[str, NDArray[np.float64]] = {}
    for asked, sides in ((in_px, ()), (in_mm, spacing_mm)):
        if asked:
            found = surface_scores(truth, labels, classes, list(asked.values()), empty, sides)
            scores |= dict(zip(asked, found, strict=True))
    return scores


def objects_of(
    example: Example, labels: NDArray[np.uint8], found: NDArray[np.int32] | None, classes: Sequence[ClassValues]
) -> tuple[Ids, Ids]:
    """Return the ids `(*spatial)` of the true and the found objects that `measure` compares; see there."""
    example, labels, _ = _without_ring(example, labels, classes)
    return _ids(example, labels, found)


def _without_ring(
    example: Example, labels: NDArray[np.uint8], classes: Sequence[ClassValues]
) -> tuple[Example, NDArray[np.uint8], int | None]:
    """Replace the ring of ground truth and prediction, and return its class too; None without a ring."""
    ring = next((i for i, c in enumerate(classes) if RING in c.values), None)
    if ring is not None and example.plain is not None:
        example, labels = replace(example, labels=example.plain), without_ring(labels, ring)
    return example, labels, ring


def _ids(example: Example, labels: NDArray[np.uint8], found: NDArray[np.int32] | None) -> tuple[Ids, Ids]:
    truth = components(example.labels) if example.instances is None else example.instances
    return truth, components(labels) if found is None else found


def with_measures(summary: Mapping[str, Any], measures: Sequence[Measure], rows: Sequence[Measured]) -> dict[str, Any]:
    """Add the measures of images to a `metrics.label_summary`; None if no image has a score.

    Measures per class are added to its entry `classes`, measures of objects as an entry `objects`.

    Args:
        summary: the summary.
        measures: measures that were computed.
        rows: measures of each image.
    """
    full = {**summary}
    if "classes" in summary:
        full["classes"] = [dict(entry) for entry in summary["classes"]]
    for key in dict.fromkeys(key for row in rows for key in row.scores):  # those in mm only where the size is known
        mean = [or_none(value) for value in over_images([row.scores[key] for row in rows if key in row.scores])]
        if len(mean) == 1:
            full[key] = mean[0]
        else:
            for entry, value in zip(full["classes"], mean, strict=True):
                entry[key] = value
    if objects := [row.objects for row in rows if row.objects]:
        full["objects"] = object_summary(objects, [m.name for m in measures if m.of_objects])
    return full
