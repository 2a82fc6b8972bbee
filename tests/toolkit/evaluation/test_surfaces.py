from __future__ import annotations

import math

import numpy as np
import pytest
from seg_runtime.support.errors import DataError
from seg_toolkit.data import RING, ClassValues, Example, ring_mask, without_ring
from seg_toolkit.evaluation import Measure, measure

CLASSES = ClassValues.parse("ground=0,cell=1")
RINGED = ClassValues.parse(f"ground=0,lesion=255,boundary={RING}")


def box(*slices: slice, shape: tuple[int, ...] = (40, 40)) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[slices] = 1
    return labels


def measured(
    text: str, truth: np.ndarray, labels: np.ndarray, empty: str = "skip", spacing_mm: tuple[float, ...] = ()
) -> dict[str, np.ndarray]:
    example = Example(np.zeros((*truth.shape, 1), np.uint8), truth)
    return dict(measure(Measure.parse(text), example, labels, CLASSES, empty, spacing_mm=spacing_mm).scores)


SQUARE = box(slice(10, 20), slice(10, 20))
MOVED = box(slice(10, 20), slice(13, 23))


def test_two_squares_three_px_apart_by_hand() -> None:
    """An outline has 9 pieces of length 1 on each side and corners of 1/√2; 7 pieces and a corner, above and below, coincide."""
    got = measured("hd95,surface-dice=0,surface-dice=2,surface-dice=3", SQUARE, MOVED)
    assert list(got) == ["hd95", "surface-dice=0", "surface-dice=2", "surface-dice=3"]
    assert got["hd95"][1] == 3
    outline, shared = 36 + 4 / math.sqrt(2), 14 + 2 / math.sqrt(2)
    assert got["surface-dice=0"][1] == pytest.approx(shared / outline)
    assert shared / outline < got["surface-dice=2"][1] < 1
    assert got["surface-dice=3"][1] == 1


@pytest.mark.parametrize(("spacing_mm", "distance_mm"), [((0.5, 0.2), 0.6), ((0.2, 0.5), 1.5)])
def test_lengths_are_in_mm_too_if_the_size_of_a_pixel_is_known(
    spacing_mm: tuple[float, float], distance_mm: float
) -> None:
    """The squares are 3 px apart along the columns."""
    got = measured("hd95,surface-dice=1mm,surface-dice=3,surface-dice=1500um", SQUARE, MOVED, spacing_mm=spacing_mm)
    assert got["hd95"][1] == 3
    assert got["hd95_mm"][1] == pytest.approx(distance_mm)
    assert (got["surface-dice=1mm"][1] == 1) == (distance_mm < 1)
    assert got["surface-dice=3"][1] == got["surface-dice=1500um"][1] == 1
    lost = measured("hd95", SQUARE, 0 * SQUARE, spacing_mm=spacing_mm)
    assert lost["hd95_mm"][1] == pytest.approx(math.hypot(40 * 0.5, 40 * 0.2))  # the diagonal of the image


def test_a_tolerance_in_mm_needs_the_size_of_a_pixel() -> None:
    with pytest.raises(DataError, match="surface-dice=1mm needs the size of a pixel, but the image states none"):
        measured("surface-dice=1mm", SQUARE, MOVED)


def test_the_same_is_perfect() -> None:
    got = measured("hd95,surface-dice=0", SQUARE, SQUARE)
    assert got["hd95"].tolist() == [0, 0]
    assert got["surface-dice=0"].tolist() == [1, 1]


def test_a_volume_in_voxels() -> None:
    cube, moved = (box(slice(2, 8), slice(2, 8), slice(a, a + 6), shape=(10, 12, 14)) for a in (2, 4))
    got = measured("hd95,surface-dice=2,surface-dice=1", cube, moved)
    assert got["hd95"][1] == 2
    assert got["surface-dice=2"][1] == 1
    assert 0 < got["surface-dice=1"][1] < 1


NOTHING = np.zeros((30, 40), np.uint8)
THERE = box(slice(3, 6), slice(3, 6), shape=(30, 40))


@pytest.mark.parametrize(("truth", "labels"), [(NOTHING, THERE), (THERE, NOTHING)], ids=["invented", "missed"])
@pytest.mark.parametrize("empty", ["skip", "one"])
def test_what_only_one_holds_is_as_far_as_can_be(truth: np.ndarray, labels: np.ndarray, empty: str) -> None:
    got = measured("hd95,surface-dice=2", truth, labels, empty)
    assert got["hd95"][1] == 50  # the diagonal of 30×40
    assert got["surface-dice=2"][1] == 0


@pytest.mark.parametrize(("empty", "wanted"), [("skip", [math.nan, math.nan]), ("one", [0, 1])])
def test_what_neither_holds_does_not_count_unless_it_is_said_to(empty: str, wanted: list[float]) -> None:
    got = measured("hd95,surface-dice=2", NOTHING, NOTHING, empty)
    np.testing.assert_array_equal([got["hd95"][1], got["surface-dice=2"][1]], wanted)
    assert got["hd95"][0] == 0


def test_an_image_that_is_all_one_class_has_its_own_edge_as_surface() -> None:
    everything = np.ones((30, 40), np.uint8)
    got = measured("hd95,surface-dice=2", everything, everything)
    np.testing.assert_array_equal([got["hd95"][1], got["surface-dice=2"][1]], [0, 1])


def test_surfaces_of_what_was_annotated_in_part_are_refused() -> None:
    known = np.ones(SQUARE.shape, bool)
    example = Example(np.zeros((40, 40, 1), np.uint8), SQUARE, known=known)
    assert measure(Measure.parse("hd95"), example, SQUARE, CLASSES).scores["hd95"].tolist() == [0, 0]
    known[0] = False
    with pytest.raises(DataError, match=r"hd95 needs annotations everywhere, but v1 is only partly annotated"):
        measure(Measure.parse("hd95"), example, SQUARE, CLASSES, name="v1")


def ringed(plain: np.ndarray, width_px: int) -> np.ndarray:
    return np.where(ring_mask(plain, width_px), np.uint8(2), plain)


def test_the_middle_of_a_ring_is_the_outline() -> None:
    """The answer draws the ring of the moved square: what is measured is how far that was moved, ring or not."""
    example = Example(np.zeros((40, 40, 1), np.uint8), ringed(SQUARE, 3), plain=SQUARE)
    measures = (Measure("hd95"), Measure("surface-dice", 1.5))
    right = measure(measures, example, ringed(SQUARE, 3), RINGED).scores
    np.testing.assert_array_equal(right["surface-dice=1.5"], [1, 1, np.nan])  # corners are rounded by √2 px
    assert measure(measures, example, ringed(MOVED, 3), RINGED).scores["hd95"][1] == pytest.approx(3, abs=0.2)
    forgiven = measure(measures, example, SQUARE, RINGED, "one").scores  # no ring at all, and the lesion where it is
    np.testing.assert_array_equal(forgiven["hd95"], [0, 0, np.nan])


def test_straight_outlines_come_back_to_the_px() -> None:
    for half in (box(slice(0, 17), slice(None)), box(slice(None), slice(25, None))):
        np.testing.assert_array_equal(without_ring(ringed(half, 3), 2), half)


def test_a_ring_alone_goes_to_what_surrounds_it() -> None:
    dot = box(slice(20, 22), slice(20, 22))
    assert not without_ring(ringed(dot, 3), 2).any()
    assert not without_ring(np.full((4, 4), 2, np.uint8), 2).any()
    assert without_ring(np.array([[0, 2, 2, 1]], np.uint8), 2).tolist() == [[0, 0, 1, 1]]
