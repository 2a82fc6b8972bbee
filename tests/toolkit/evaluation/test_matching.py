"""Objects in a line of pixels, so that every area can be counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
from seg_runtime.support import SegError
from seg_toolkit.evaluation import THRESHOLDS, Matching, Overlap, match_objects, merges, seg_score, splits

A = np.array([1, 1, 1, 1, 0, 2, 2, 2, 2])  # two objects of 4 px
TOUCHING = np.array([1, 1, 1, 1, 2, 2, 2, 2])


def ids(text: str) -> np.ndarray:
    """`1122.` as ids."""
    return np.array([int(c) for c in text.replace(".", "0")], int)


@pytest.mark.parametrize(
    ("truth", "found", "iou", "expected"),
    [
        ("1111.2222", "1111.2222", 0.9, (2, 0, 0, 2.0)),
        ("1111.2222", "7777.3333", 0.9, (2, 0, 0, 2.0)),  # other numbers, with gaps
        ("1111.2222", "111..2222", 0.75, (2, 0, 0, 1.75)),  # equal to the threshold
        ("1111.2222", "111..2222", 0.8, (1, 1, 1, 1.0)),
        ("11112222", "11122222", 0.5, (2, 0, 0, 3 / 4 + 4 / 5)),  # touching, the border moved by one px
        ("11112222", "11111111", 0.5, (1, 0, 1, 0.5)),  # merged: half of it is each, one of them matches
        ("11112222", "11111111", 0.55, (0, 1, 2, 0.0)),
        ("11111111", "11112222", 0.5, (1, 1, 0, 0.5)),  # split into halves
        ("11111111", "11111.22", 0.5, (1, 1, 0, 5 / 8)),
        ("1111....", "11......", 0.5, (1, 0, 0, 0.5)),  # at the border of the image
        ("1111....", "........", 0.5, (0, 0, 1, 0.0)),
        ("........", "1111....", 0.5, (0, 1, 0, 0.0)),
        ("........", "........", 0.5, (0, 0, 0, 0.0)),
        ("", "", 0.5, (0, 0, 0, 0.0)),
        ("112233", "111222", 0.2, (2, 0, 1, 2 / 3 + 2 / 3)),  # 2 has an IoU of 1/4 with both, 1 and 3 fit better
        ("11111122", "11222222", 0.3, (2, 0, 0, 2 / 6 + 2 / 6)),  # 1 with 2 is the best pair, 4/8, but the only one
    ],
)
def test_matching_by_hand(truth: str, found: str, iou: float, expected: tuple[int, int, int, float]) -> None:
    got = match_objects(ids(truth), ids(found), iou)
    assert (got.true_positives, got.false_positives, got.false_negatives) == expected[:3]
    assert got.iou_sum == pytest.approx(expected[3])


def test_scores_of_counts_by_hand() -> None:
    """6 right, 2 false, 4 missed."""
    got = Matching(6, 2, 4, 4.5)
    assert (got.ap, got.precision, got.recall) == (6 / 12, 6 / 8, 6 / 10)
    assert (got.f1, got.pq) == (12 / 18, 4.5 / 9)
    assert got + got == Matching(12, 4, 8, 9.0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [(Matching(0, 0, 0, 0.0), math.nan), (Matching(0, 3, 0, 0.0), 0), (Matching(0, 0, 3, 0.0), 0)],
)
def test_nothing_to_find_and_nothing_found_has_no_score(counts: Matching, expected: float) -> None:
    for got in (counts.ap, counts.precision, counts.recall, counts.f1, counts.pq):
        assert got == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("truth", "found", "seg"),
    [
        ("1111.2222", "1111.2222", 1),
        ("1111.2222", "111..2222", (3 / 4 + 1) / 2),
        ("1111.2222", "11...2222", 1 / 2),  # half is not more than half
        ("11112222", "11111111", (1 / 2 + 1 / 2) / 2),  # one object covers both
        ("1111....", "1111.333", 1),  # false objects do not count
        ("1111", "....", 0),
        ("....", "1111", math.nan),
        ("....", "....", math.nan),
    ],
)
def test_seg_by_hand(truth: str, found: str, seg: float) -> None:
    assert seg_score(ids(truth), ids(found)) == pytest.approx(seg, nan_ok=True)


@pytest.mark.parametrize(
    ("truth", "found", "merged", "split"),
    [
        ("11112222", "11111111", 1, 0),
        ("11111111", "11112222", 0, 1),
        ("1122.3344", "1111.2222", 2, 0),
        ("11112222", "11111122", 0, 0),  # half of 2 is not more than half
        ("11112222", "11111112", 1, 0),  # 3 of 4 px are
        ("1111.222", "1122.333", 0, 1),
        ("1111.....", "1.2......", 0, 1),
        ("111222333", "111111111", 1, 0),  # three at once are one merger
        ("1111....", "1.222222", 0, 0),  # 2 lies mostly outside
        ("....", "....", 0, 0),
    ],
)
def test_merges_and_splits_by_hand(truth: str, found: str, merged: int, split: int) -> None:
    assert (merges(ids(truth), ids(found)), splits(ids(truth), ids(found))) == (merged, split)


def test_what_nobody_annotated_is_left_out() -> None:
    """The last 5 px are not annotated: 2 lies in there with 3 of 4 px, 3 with all, 4 with half, 5 with none."""
    known = np.array([True] * 9 + [False] * 5)
    truth = ids("1111..........")
    assert match_objects(truth, ids("1111....222233"), known=known) == Matching(1, 0, 0, 1.0)
    assert match_objects(truth, ids("1111...4444..."), known=known) == Matching(1, 1, 0, 1.0)
    assert match_objects(truth, ids("1111.55......."), known=known) == Matching(1, 1, 0, 1.0)
    assert match_objects(ids("1111....222222"), ids("1111.........."), known=known) == Matching(1, 0, 1, 1.0)
    assert match_objects(ids("1111.....22222"), ids("1111.........."), known=known) == Matching(1, 0, 0, 1.0)
    assert seg_score(ids("1111....222222"), ids("1111....222222"), known) == 1
    assert match_objects(ids("1111....222222"), ids("1111....222222"), known=known) == Matching(2, 0, 0, 2.0)
    assert splits(ids("111111111....."), ids("1111..........") + ids("........222222"), known) == 0  # 2 does not count
    assert match_objects(truth, truth, known=np.zeros(14, bool)) == Matching(0, 0, 0, 0.0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("shape", [(9,), (3, 3), (1, 3, 3)])
def test_any_integers_and_axes(dtype: str, shape: tuple[int, ...]) -> None:
    high = np.iinfo(dtype).max
    truth = np.where(A == 1, high, A).astype(dtype).reshape(shape)
    assert match_objects(truth, A.reshape(shape), 0.9) == Matching(2, 0, 0, 2.0)
    assert match_objects(np.asfortranarray(truth), A.reshape(shape), 0.9) == Matching(2, 0, 0, 2.0)


@pytest.mark.parametrize(
    ("truth", "found", "words"),
    [
        (A.astype(float), A, "the ids of truth have dtype float64; expected integers"),
        (A, -A, "found has the id -2"),
        (A, A[:8], "equal shapes"),
        (A, A.reshape(3, 3), "equal shapes"),
    ],
)
def test_other_arrays_are_refused(truth: np.ndarray, found: np.ndarray, words: str) -> None:
    with pytest.raises(SegError, match=words):
        match_objects(truth, found)


def test_many_ids_need_no_matrix() -> None:
    """A million objects of one px each would be a matrix of 8 TB."""
    truth = np.arange(1, 1_000_001).reshape(1000, 1000)
    assert match_objects(truth, truth + 1_000_000_000, 0.5) == Matching(1_000_000, 0, 0, 1e6)


@pytest.mark.parametrize("seed", range(40))
def test_random_images_match_as_every_pair_does(seed: int) -> None:
    """Against dense masks and all possible assignments of objects."""
    rng = np.random.default_rng(seed)
    truth, found = (_blocks(rng) for _ in range(2))
    if seed % 3 == 0:
        found = np.where(rng.random(truth.shape) < 0.1, found, truth)
    known = rng.random(truth.shape) < 0.6 if seed % 2 else np.ones(truth.shape, bool)
    masks = [[ids == i for i in np.unique(ids[ids > 0])] for ids in (truth, found)]
    true = [mask & known for mask in masks[0] if (mask & known).any()]
    inside = [mask & known for mask in masks[1]]
    counts = np.array([2 * part.sum() >= mask.sum() for part, mask in zip(inside, masks[1], strict=True)], bool)
    shared = np.array([[(t & f).sum() for f in inside] for t in true]).reshape(len(true), len(inside))
    union = np.array([[(t | f).sum() for f in inside] for t in true]).reshape(shared.shape)
    matrix = shared / np.maximum(union, 1)
    overlap = Overlap.of(truth, found, known if seed % 2 else None)
    for iou in (0.1, 0.2, 0.3, *THRESHOLDS):
        number, total, chosen = _assigned(matrix, iou)
        got = overlap.matching(iou)
        assert (got.true_positives, got.false_negatives) == (number, len(true) - number)
        assert got.iou_sum == pytest.approx(total)
        if iou > 0.5:  # one solution
            assert got.false_positives == sum(counts[j] for j in range(len(inside)) if j not in chosen)
    covered = 2 * shared > np.array([t.sum() for t in true]).reshape(-1, 1)
    held = (2 * shared > np.array([f.sum() for f in inside]).reshape(1, -1)) & counts
    assert overlap.jaccard_sum == pytest.approx(matrix[covered].sum())
    assert overlap.merged == (covered.sum(axis=0) > 1).sum()
    assert overlap.split == (held.sum(axis=1) > 1).sum()


def _blocks(rng: np.random.Generator) -> np.ndarray:
    """Up to 5 objects with ids with gaps, in blocks of 2×2 px, some of which touch."""
    small = rng.choice([0, 0, 3, 4, 11, 12, 40], (3, 4))
    return small.repeat(2, axis=0).repeat(2, axis=1)


def _assigned(matrix: np.ndarray, iou: float) -> tuple[int, float, set[int]]:
    """The largest number of pairs, the largest sum of IoU among these, and the matched found objects."""
    if not len(matrix):
        return 0, 0.0, set()
    tried = [_assigned(matrix[1:], iou)]  # the first true object without a partner
    for j in np.flatnonzero(matrix[0] >= iou):
        rest = matrix[1:].copy()
        rest[:, j] = 0
        number, total, chosen = _assigned(rest, iou)
        tried.append((number + 1, total + matrix[0, j], chosen | {int(j)}))
    return max(tried, key=lambda found: found[:2])
