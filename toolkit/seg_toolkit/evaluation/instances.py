"""Scores of the objects of an image, and of many images; `matching` has the definitions.

AP, F1, precision, recall and PQ of many images are those of all their objects together, as StarDist reports them: TP, FP and
FN are added before the scores are computed, so an image with many objects counts more. SEG is the mean over all true objects,
as in the Cell Tracking Challenge. `mean_ap` is the mean over images with equal weights, as in the Data Science Bowl 2018 and
Cellpose; images without true and found objects do not count.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .matching import THRESHOLDS, Ids, Matching, Overlap
from .metrics import or_none

_AT = THRESHOLDS.index(0.5)  # of F1, precision, recall and PQ
_SHOWN = ("0.50", "0.75", "0.90")  # thresholds in a table
PARTS: dict[str, tuple[str, ...]] = {
    "ap": ("ap", "mean_ap"),
    "f1": ("f1", "precision", "recall"),
    "pq": ("pq",),
    "seg": ("seg",),
    "count": ("true", "found", "merged", "split"),
}
"""Entries of `object_summary`, by the measure that they belong to."""


@dataclass(frozen=True)
class ObjectScores:
    """Scores of the objects of an image, as counts that can be added.

    Attributes:
        matchings: objects that match at each of `THRESHOLDS`.
        jaccard_sum: SEG times the number of true objects.
        true: number of true objects.
        found: number of found objects, without those that are mostly outside of the annotation.
        merged: found objects that merge true ones.
        split: true objects that are split.
    """

    matchings: tuple[Matching, ...]
    jaccard_sum: float
    true: int
    found: int
    merged: int
    split: int

    @classmethod
    def of(cls, truth: Ids, found: Ids, known: np.ndarray[Any, np.dtype[np.bool_]] | None = None) -> ObjectScores:
        """Compare ids `(*spatial)`, see `matching.match_objects`."""
        overlap = Overlap.of(truth, found, known)
        matchings = tuple(overlap.matching(iou) for iou in THRESHOLDS)
        return cls(
            matchings,
            overlap.jaccard_sum,
            len(overlap.true_ids),
            int(overlap.counted.sum()),
            overlap.merged,
            overlap.split,
        )

    @property
    def average_precision(self) -> float:
        """Mean AP over the thresholds, 0 to 1; NaN without true and found objects."""
        return float(np.mean([matching.ap for matching in self.matchings]))

    def __add__(self, other: ObjectScores) -> ObjectScores:
        """Add the counts of another image."""
        return ObjectScores(
            tuple(mine + its for mine, its in zip(self.matchings, other.matchings, strict=True)),
            self.jaccard_sum + other.jaccard_sum, self.true + other.true, self.found + other.found,
            self.merged + other.merged, self.split + other.split,
        )  # fmt: skip


def object_summary(figures: Sequence[ObjectScores], measures: Collection[str] = tuple(PARTS)) -> dict[str, Any]:
    """Summarize the scores of images for JSON.

    Args:
        figures: scores of each image, one or more.
        measures: keys of `PARTS`.

    Returns:
        `{"images": n, "ap": {"0.50": …, "0.55": …, …, "0.90": …, "mean": …}, "mean_ap": …, "f1", "precision", "recall", "pq",
        "seg", "true", "found", "merged", "split"}`, as far as `measures` has them. `true` and `found` are numbers of objects
        per image, `merged` and `split` those in all images. A score is None if there is nothing to score.
    """
    first, *others = figures
    total = sum(others, first)
    half = total.matchings[_AT]
    each = [figure.average_precision for figure in figures]
    known = [score for score in each if math.isfinite(score)]
    by_iou = {f"{iou:.2f}": or_none(matching.ap) for iou, matching in zip(THRESHOLDS, total.matchings, strict=True)}
    every: dict[str, Any] = {
        "ap": {**by_iou, "mean": or_none(total.average_precision)},
        "mean_ap": float(np.mean(known)) if known else None,
        **{name: or_none(getattr(half, name)) for name in ("f1", "precision", "recall", "pq")},
        "seg": total.jaccard_sum / total.true if total.true else None,
        "true": total.true / len(figures),
        "found": total.found / len(figures),
        "merged": total.merged,
        "split": total.split,
    }
    wanted = {part for measure in measures for part in PARTS[measure]}
    return {"images": len(figures), **{name: value for name, value in every.items() if name in wanted}}


def object_table(result: Mapping[str, Any]) -> str:
    """Format an `object_summary` as one or two lines."""
    parts: list[str] = []
    if "ap" in result:
        shown = ", ".join(f"{_number(result['ap'][iou])} at IoU {iou}" for iou in _SHOWN)
        parts.append(f"AP {shown}, mean {_number(result['ap']['mean'])}")
    if "f1" in result:
        sides = ", ".join(f"{name} {_number(result[name])}" for name in ("precision", "recall"))
        parts.append(f"F1 {_number(result['f1'])} ({sides})")
    parts += [f"{name.upper()} {_number(result[name])}" for name in ("pq", "seg") if name in result]
    lines = [f"objects of all images: {'; '.join(parts)}"] if parts else []
    if "found" in result:
        merged, split = (f"{result[name]} {name}" for name in ("merged", "split"))
        lines.append(
            f"objects per image: {result['true']:.1f} true, {result['found']:.1f} found; in all images, {merged} and {split}"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
