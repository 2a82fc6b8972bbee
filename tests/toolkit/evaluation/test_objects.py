from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.answers import components
from seg_toolkit.data import ClassValues, Example
from seg_toolkit.evaluation import Measure, measure

CLASSES = ClassValues.parse("membrane=0,cell=255")


def measured(truth: object, labels: object, text: str = "rand,voi", **more: np.ndarray) -> dict[str, np.ndarray]:
    labels = np.array(labels, np.uint8)
    true = np.array(truth, np.uint8)
    example = Example(np.zeros((*true.shape, 1), np.uint8), true, **more)
    return dict(measure(Measure.parse(text), example, labels, CLASSES).scores)


def numbers(scores: dict[str, np.ndarray]) -> list[float]:
    assert all(values.shape == (1,) for values in scores.values())
    return [float(scores[key][0]) for key in ("rand", "voi", "voi split", "voi merge")]


def test_two_cells_merged_by_hand() -> None:
    """2+2 px of two cells in one object: 2 true pairs of 6; whose cell a px is of takes one bit more."""
    got = measured([[1, 1, 0, 1, 1]], [[1, 1, 1, 1, 1]])
    assert numbers(got) == pytest.approx([1 - 2 * 2 / (2 + 6), 1, 0, 1])


def test_a_cell_split_by_hand() -> None:
    """4 px of one cell in two objects of 2."""
    got = measured([[1, 1, 1, 1]], [[1, 1, 0, 1]])
    assert numbers(measured([[1, 1, 1, 1, 1, 1]], [[1, 1, 0, 0, 1, 1]])) == pytest.approx(
        [1 - 2 * 6 / (6 + 15), 1, 1, 0]
    )
    assert got["voi merge"] == 0  # the gap's px went to a neighbour; 3 and 1 of 4
    assert got["voi split"] == pytest.approx(0.75 * np.log2(4 / 3) + 0.25 * 2)


@pytest.mark.parametrize("wall", [[1, 1, 0, 1, 1], [1, 0, 0, 0, 1], [1, 1, 0, 0, 1]])
def test_the_width_of_a_membrane_does_not_matter(wall: list[int]) -> None:
    assert numbers(measured([[1, 1, 0, 1, 1]] * 3, [wall] * 3)) == pytest.approx([0, 0, 0, 0], abs=1e-12)


def test_a_membrane_that_runs_aslant_parts_too() -> None:
    assert components(1 - np.eye(4, dtype=np.uint8)).max() == 2


def test_classes_part_one_another() -> None:
    assert components(np.array([[1, 1, 2, 0, 1]], np.uint8)).tolist() == [[1, 1, 2, 0, 3]]


def test_objects_that_somebody_told_apart_go_before_what_hangs_together() -> None:
    ids = np.array([[1, 1, 2, 2]], np.int32)
    assert numbers(measured([[1, 1, 1, 1]], [[1, 1, 1, 1]]))[0] == pytest.approx(0)
    assert numbers(measured([[1, 1, 1, 1]], [[1, 1, 1, 1]], instances=ids)) == pytest.approx([0.5, 1, 0, 1])


def test_objects_that_the_model_told_apart_go_before_what_hangs_together() -> None:
    ids, example = np.array([[1, 1, 2, 2]], np.int32), Example(np.zeros((1, 4, 1), np.uint8), np.ones((1, 4), np.uint8))
    got = measure(Measure.parse("rand,voi"), example, example.labels, CLASSES, found=ids).scores
    assert numbers(dict(got)) == pytest.approx([1 - 2 * 2 / (2 + 6), 1, 1, 0])


def test_what_nobody_annotated_is_left_out() -> None:
    known = np.array([[True, True, True, False, False]])
    assert numbers(measured([[1, 1, 0, 1, 1]], [[1, 1, 1, 1, 1]], known=known)) == pytest.approx(
        [0, 0, 0, 0], abs=1e-12
    )


def test_without_an_object_in_the_truth_nothing_counts_and_none_in_the_answer_is_one_for_all() -> None:
    assert np.isnan(numbers(measured([[0, 0]], [[1, 0]]))).all()
    assert np.isnan(numbers(measured([[1]], [[1]]))[0])  # no pairs
    assert numbers(measured([[1, 1, 0, 1, 1]], [[0, 0, 0, 0, 0]])) == pytest.approx([0.5, 1, 0, 1])


def test_cells_of_a_volume_hang_together_through_its_slices() -> None:
    truth = np.zeros((3, 5, 5), np.uint8)
    truth[:, :2], truth[:, 3:] = 1, 1
    merged = truth.copy()
    merged[1, 2, 2] = 1  # one voxel through the membrane
    assert measured(truth, truth, "rand")["rand"] == pytest.approx(0)
    assert measured(truth, merged, "rand")["rand"] > 0.3
