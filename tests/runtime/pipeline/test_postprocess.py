from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from seg_runtime import Contract
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Grid, activate

from tests.support.contracts import contract


def of(classes: int, **more: Any) -> Contract:
    """252 -> 68 px."""
    return contract(252, classes=classes, **more)


def pixels(*columns: list[float]) -> np.ndarray:
    return np.array(columns, np.float32).T[:, None]  # (K, 1, W)


def test_softmax_by_hand() -> None:
    scores = activate(pixels([0, np.log(3)], [5, 5]), of(2).answer.activation)
    np.testing.assert_allclose(scores[:, 0], [[0.25, 0.5], [0.75, 0.5]], rtol=1e-6)


def test_softmax_of_huge_logits_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        scores = activate(pixels([1000, -1000, 0]), of(3).answer.activation)
    assert scores.ravel().tolist() == [1, 0, 0]


def test_sigmoid_by_hand() -> None:
    scores = activate(pixels([0, np.log(3)], [-np.log(3), 1e4]), of(2, decision="threshold").answer.activation)
    np.testing.assert_allclose(scores[:, 0], [[0.5, 0.25], [0.75, 1]], rtol=1e-6)
    assert scores.dtype == np.float32


def test_argmax_takes_the_first_of_equals() -> None:
    assert answer_of(of(2)).window(pixels([1, 2], [2, 1], [3, 3])).tolist() == [[1, 0, 0]]
    assert answer_of(of(3)).window(pixels([1, 2, 2], [0, -1, 0.5])).tolist() == [[1, 2]]


def test_labels_are_uint8() -> None:
    assert answer_of(of(2)).window(pixels([1, 2])).dtype == np.uint8
    assert answer_of(of(3)).window(pixels([1, 2, 3])).dtype == np.uint8


def test_threshold_decides_for_the_largest_that_reaches_it() -> None:
    logits = pixels([-9, 0.1, 0.2], [-9, -0.1, -0.2], [-9, 3, 1], [-9, 0, -1])
    assert answer_of(of(3, decision="threshold")).window(logits).tolist() == [[2, 0, 1, 1]]


def test_threshold_of_three_quarters() -> None:
    logits = pixels([-9, 1.09], [-9, 1.10])  # log 3 = 1.0986
    assert answer_of(of(2, decision="threshold", threshold=0.75)).window(logits).tolist() == [[0, 1]]


@pytest.mark.parametrize(("threshold", "wanted"), [(0.0, [1, 1]), (1.0, [0, 0])])
def test_thresholds_at_the_ends(threshold: float, wanted: list[int]) -> None:
    assert answer_of(of(2, decision="threshold", threshold=threshold)).window(pixels([-50, -40], [3, 5])).tolist() == [
        wanted
    ]


def test_margins() -> None:
    assert answer_of(of(3)).margins(pixels([1, 4, 2], [7, 7, 0])).tolist() == [[2, 0]]
    assert answer_of(of(2, decision="threshold")).margins(pixels([-3, 0.5])).tolist() == [[0.5]]


def test_no_class_is_more_probable_than_the_label_at_a_close_call() -> None:
    logits = pixels([0, 1e-8], [1, np.nextafter(np.float32(1), np.float32(2))], [3, 3])
    scores = activate(logits, of(2).answer.activation)
    labels = answer_of(of(2)).window(logits)
    assert labels.tolist() == [[1, 1, 0]]
    assert (np.take_along_axis(scores, labels[None].astype(int), 0)[0] == scores.max(axis=0)).all()


def test_stitch_crops_the_overlap() -> None:
    grid = Grid.of((100, 1), of(2).geometry)  # windows at 0 and 64, 68 px each
    pieces = [np.full((68, 68), value) for value in (1, 2)]
    column = grid.stitch(pieces, np.zeros((100, 1)))[:, 0]
    assert column.tolist() == [1] * 64 + [2] * 36


def test_stitch_refuses_a_missing_piece() -> None:
    grid = Grid.of((100, 1), of(2).geometry)
    with pytest.raises(ValueError, match="shorter"):
        grid.stitch([np.zeros((68, 68))], np.zeros((100, 1)))
