"""Scores of objects: average precision, F1, panoptic quality, SEG, merged and split objects, as plain functions.

All functions compare two arrays of ids: `truth` and `found`, `(*spatial)` of any integer dtype and any number of axes. 0 is
the background; ids may have gaps. The intersection over union (IoU) of a true object A and a found object B is
|A ∩ B| / |A ∪ B|. Objects are matched one to one if their IoU reaches a threshold. With n matched pairs:

    true positives TP = n, false negatives FN = true objects - n, false positives FP = found objects - n
    AP = TP / (TP + FP + FN)    precision = TP / (TP + FP)    recall = TP / (TP + FN)
    F1 = 2·TP / (2·TP + FP + FN)    PQ = sum of the IoU of matched pairs / (TP + FP/2 + FN/2)

AP is that of StarDist (Schmidt et al. 2018, doi 10.1007/978-3-030-00934-2_30), Cellpose and the Data Science Bowl 2018: one
number for each threshold. It is not the area under a curve, as in COCO, because objects have no confidence. PQ is the
panoptic quality (Kirillov et al. 2019, doi 10.1109/CVPR.2019.00963). SEG is that of the Cell Tracking Challenge (Maška et al.
2014, doi 10.1093/bioinformatics/btu080).

Without true and found objects, nothing can be scored, and all scores are NaN, so the image does not count in a mean. If one
of the two is empty, the scores are 0; SEG is NaN without true objects, since it is a mean over them.

Pixels without annotation (`known` is False) belong to no object, as void pixels in the panoptic quality. A found object with
more than half of its pixels there is no false positive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from seg_runtime.support import SegError

Ids = NDArray[np.integer[Any]]
_Ints = NDArray[np.int64]
_Mask = NDArray[np.bool_]
THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(9))
"""IoU 0.50, 0.55, … 0.90, as in the paper of StarDist."""


@dataclass(frozen=True)
class Matching:
    """Number of objects that match at a threshold of the IoU. The sum of two is that of both images together.

    Attributes:
        true_positives: pairs of a true and a found object that match.
        false_positives: found objects without a true one.
        false_negatives: true objects without a found one.
        iou_sum: sum of the IoU of all pairs that match.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    iou_sum: float

    def __add__(self, other: Matching) -> Matching:
        """Add the counts of another image."""
        return Matching(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.iou_sum + other.iou_sum,
        )

    @property
    def ap(self) -> float:
        """TP / (TP + FP + FN)."""
        return self._share(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """TP / (TP + FP), the fraction of found objects that are true."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), the fraction of true objects that were found."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2·TP / (2·TP + FP + FN)."""
        return self._share(self.true_positives, self._mean_count)

    @property
    def pq(self) -> float:
        """Sum of the IoU of matched pairs / (TP + FP/2 + FN/2)."""
        return self._share(self.iou_sum, self._mean_count)

    @property
    def _mean_count(self) -> float:
        return self.true_positives + (self.false_positives + self.false_negatives) / 2

    def _share(self, part: float, whole: float) -> float:
        if not self._mean_count:
            return math.nan  # no objects at all
        return part / whole if part else 0.0


@dataclass(frozen=True)
class Overlap:
    """Pixels that true and found objects share: one entry for each of p pairs that touch, since almost all pairs do not.

    Attributes:
        true_ids: `(n,)` ids of the true objects, in ascending order.
        found_ids: `(m,)` ids of the found objects, in ascending order.
        true_px: `(n,)` annotated pixels of each true object.
        found_px: `(m,)` annotated pixels of each found object.
        counted: `(m,)`, found objects that are false if they match no true object, because at least half of them is annotated.
        pairs: `(2, p)` indices of the true and the found object of each pair.
        shared_px: `(p,)` pixels that both have.
    """

    true_ids: Ids
    found_ids: Ids
    true_px: _Ints
    found_px: _Ints
    counted: _Mask
    pairs: _Ints
    shared_px: _Ints

    @classmethod
    def of(cls, truth: Ids, found: Ids, known: _Mask | None = None) -> Overlap:
        """Count the shared pixels of all pairs.

        Args:
            truth: `(*spatial)` ids of the true objects.
            found: `(*spatial)` ids of the found objects.
            known: `(*spatial)`, annotated pixels; None for all.

        Raises:
            SegError: if the arrays differ in shape, or do not contain integers from 0.
        """
        _check(truth, found, known)
        whole = np.ones(1, bool) if known is None else known.ravel()
        true, answer, annotated, px = _runs(truth.ravel(), found.ravel(), whole)
        true = np.where(annotated, true, np.zeros((), true.dtype))
        (true_ids, rows), (found_ids, columns) = _numbered(true), _numbered(answer)
        n, m = len(true_ids), len(found_ids)
        seen_px = px * annotated
        areas = _summed(columns, px, m + 1)[1:]
        found_px = _summed(columns, seen_px, m + 1)[1:]
        both = (rows > 0) & (columns > 0)
        keys, places = np.unique((rows[both] - 1) * m + columns[both] - 1, return_inverse=True)
        pairs = np.stack([keys // max(1, m), keys % max(1, m)])
        true_px, shared_px = _summed(rows, px, n + 1)[1:], _summed(places, px[both], len(keys))
        return cls(true_ids, found_ids, true_px, found_px, 2 * found_px >= areas, pairs, shared_px)

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, `(p,)`."""
        rows, columns = self.pairs
        union = self.true_px[rows] + self.found_px[columns] - self.shared_px
        return np.asarray(self.shared_px / union, np.float64)

    def matches(self, iou: float) -> _Ints:
        """Return the indices of the pairs that match at a threshold: as many as possible, then those with the largest IoU.

        Above 0.5, no object can be in two pairs. At 0.5, it can (two halves of an object).
        """
        close = np.flatnonzero(self.iou >= iou)
        rows, columns = self.pairs[:, close]
        several = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
        chosen = [close[~several]]
        if several.any():
            chosen += self._assigned(close[several])
        return np.concatenate(chosen)

    def _assigned(self, candidates: _Ints) -> list[_Ints]:
        """Choose among pairs that share objects, in each group of connected pairs."""
        rows, columns = self.pairs[:, candidates]
        count = len(self.true_ids) + len(self.found_ids)
        links = coo_array((np.ones(len(rows)), (rows, len(self.true_ids) + columns)), shape=(count, count))
        group = connected_components(links, directed=False)[1][rows]
        return [_best(candidates[part], self.pairs, self.iou) for part in _parts(group)]

    def matching(self, iou: float) -> Matching:
        """Count the objects that match at a threshold of the IoU, which counts as reached if it is equal."""
        chosen = self.matches(iou)
        false = self.counted.copy()
        false[self.pairs[1, chosen]] = False
        total = float(self.iou[chosen].sum())
        return Matching(len(chosen), int(false.sum()), len(self.true_ids) - len(chosen), total)

    @property
    def jaccard_sum(self) -> float:
        """Sum of the IoU of each true object with the found one that covers more than half of it, see `seg_score`."""
        return float(self.iou[self._covered].sum())

    @property
    def merged(self) -> int:
        """Number of found objects that merge true ones, see `merges`."""
        return _repeated(self.pairs[1, self._covered])

    @property
    def split(self) -> int:
        """Number of true objects that are split, see `splits`."""
        rows, columns = self.pairs
        inside = (2 * self.shared_px > self.found_px[columns]) & self.counted[columns]
        return _repeated(rows[inside])

    @property
    def _covered(self) -> _Mask:
        """Pairs `(p,)` in which the found object covers more than half of the true one."""
        return np.asarray(2 * self.shared_px > self.true_px[self.pairs[0]])


def match_objects(truth: Ids, found: Ids, iou: float = 0.5, known: _Mask | None = None) -> Matching:
    """Match true and found objects one to one, and count them.

    Use `Overlap` to match at several thresholds.

    Args:
        truth: `(*spatial)` ids of the true objects.
        found: `(*spatial)` ids of the found objects.
        iou: smallest IoU of a pair, above 0 and up to 1.
        known: `(*spatial)`, annotated pixels; None for all.

    Raises:
        SegError: if the arrays differ in shape, or do not contain integers from 0.

    >>> truth = np.array([[1, 1, 1, 0, 2, 2]])
    >>> found = np.array([[5, 5, 0, 0, 0, 7]])  # IoU 2/3 and 1/2
    >>> match_objects(truth, found, 0.6)
    Matching(true_positives=1, false_positives=1, false_negatives=1, iou_sum=0.6666666666666666)
    """
    return Overlap.of(truth, found, known).matching(iou)


def seg_score(truth: Ids, found: Ids, known: _Mask | None = None) -> float:
    """Compute SEG of the Cell Tracking Challenge: the mean over true objects of the IoU with the found object.

    That is the found object that covers more than half of the true one; without it, the true object counts 0. Found objects
    that match nothing do not count. NaN without true objects.

    >>> seg_score(np.array([[1, 1, 1, 0, 2, 2]]), np.array([[5, 5, 0, 0, 0, 7]]))  # 2/3, and half is not more than half
    0.3333333333333333
    """
    overlap = Overlap.of(truth, found, known)
    return overlap.jaccard_sum / len(overlap.true_ids) if len(overlap.true_ids) else math.nan


def merges(truth: Ids, found: Ids, known: _Mask | None = None) -> int:
    """Count the found objects that cover more than half of two or more true objects.

    >>> merges(np.array([[1, 1, 0, 2, 2]]), np.array([[1, 1, 1, 1, 1]]))
    1
    """
    return Overlap.of(truth, found, known).merged


def splits(truth: Ids, found: Ids, known: _Mask | None = None) -> int:
    """Count the true objects that contain more than half of two or more found objects.

    >>> splits(np.array([[1, 1, 1, 1, 1]]), np.array([[1, 1, 0, 2, 2]]))
    1
    """
    return Overlap.of(truth, found, known).split


def _check(truth: Ids, found: Ids, known: _Mask | None) -> None:
    for name, ids in (("truth", truth), ("found", found)):
        if ids.dtype.kind not in "iub":
            raise SegError(f"the ids of {name} have dtype {ids.dtype}", "integers", "pass an array of ids")
        if ids.size and ids.min() < 0:
            raise SegError(f"{name} has the id {ids.min()}", "0 for the background, or more", "pass an array of ids")
    shapes = [array.shape for array in (truth, found, known) if array is not None]
    if len(set(shapes)) > 1:
        raise SegError(
            f"the ids have shapes {' and '.join(map(str, shapes))}", "equal shapes", "pass arrays of one image"
        )


def _runs(truth: Ids, found: Ids, known: _Mask) -> tuple[Ids, Ids, _Mask, _Ints]:
    """Return the values of runs of equal pixels of flat arrays, and their lengths: far fewer than pixels, and so fast to sort."""
    changed = (truth[1:] != truth[:-1]) | (found[1:] != found[:-1])
    if len(known) > 1:
        changed |= known[1:] != known[:-1]
    starts = np.concatenate([np.zeros(min(1, truth.size), np.int64), np.flatnonzero(changed) + 1])
    annotated = known[starts] if len(known) > 1 else np.full(len(starts), known.all())
    return truth[starts], found[starts], annotated, np.diff(starts, append=truth.size)


def _numbered(values: Ids) -> tuple[Ids, _Ints]:
    """Return the sorted ids without 0, and for each value its place among them from 1, 0 for 0."""
    ids, places = np.unique(values, return_inverse=True)
    has_zero = bool(len(ids)) and not ids[0]
    return ids[int(has_zero) :], places.astype(np.int64) + int(not has_zero)


def _summed(places: _Ints, values: _Ints, count: int) -> _Ints:
    return np.bincount(places, values, count).astype(np.int64)


def _repeated(places: _Ints) -> int:
    """Count the values that occur twice or more."""
    return int((np.bincount(places) > 1).sum())


def _parts(group: NDArray[np.integer[Any]]) -> list[_Ints]:
    """Return the places of each group."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _best(candidates: _Ints, pairs: _Ints, iou: NDArray[np.float64]) -> _Ints:
    """Choose pairs of one group such that no object is in two, as many as possible, then with the largest sum of IoU."""
    (rows, r), (columns, c) = (np.unique(side[candidates], return_inverse=True) for side in pairs)
    gain, which = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
    gain[r, c] = 1 + iou[candidates] / (2 * min(gain.shape))  # the IoU of all pairs together is less than one pair more
    which[r, c] = candidates
    chosen = which[linear_sum_assignment(gain, maximize=True)]
    return chosen[chosen >= 0]
