"""Objects from masks: what touches, encloses, is small, or has another class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.answers.separate import classes_of, components, grown, renumbered, unmatched

from tests.support.touching import discs

PAIR = [(20, 20), (20, 34)]  # discs of radius 9, which overlap


def test_parts_of_the_core_become_objects_and_meet_between() -> None:
    mask = np.ones((1, 7), bool)
    core = np.array([[1, 1, 1, 0, 1, 1, 1]], bool)
    ids = grown(mask, core)
    assert ids[0, :3].tolist() == [1, 1, 1]
    assert ids[0, 4:].tolist() == [2, 2, 2]


def test_a_part_without_a_core_is_an_object_of_its_own() -> None:
    mask = np.array([[1, 1, 0, 1, 1]], bool)
    core = np.array([[1, 0, 0, 0, 0]], bool)
    assert grown(mask, core).tolist() == [[1, 1, 0, 2, 2]]


def test_a_core_beyond_the_mask_is_that_of_no_object() -> None:
    assert not grown(np.zeros((5, 5), bool), np.ones((5, 5), bool)).any()


@pytest.mark.parametrize(("peak_px", "count"), [(0.0, 1), (0.5, 2), (1.0, 2), (4.0, 1)])
def test_objects_meet_at_a_neck_between_peaks(peak_px: float, count: int) -> None:
    truth = discs((40, 54), PAIR, 9)
    mask = truth > 0
    ids = grown(mask, mask, peak_px=peak_px)
    assert ids.max() == count
    if count == 2:
        assert unmatched(ids, truth) == 0
        assert (ids != truth).mean() < 0.01  # where the discs overlap, which belongs to the first


def test_a_smooth_outline_has_one_peak() -> None:
    rows, columns = np.indices((60, 90))
    ellipse = ((rows - 30) / 20) ** 2 + ((columns - 45) / 36) ** 2 <= 1
    assert grown(ellipse, ellipse, peak_px=0.25).max() == 1


def _flooded(depth: NDArray[Any], rise: float) -> int:
    """Count peaks by lowering the level of water step by step: a peak counts if it rose so far when it met a higher one."""
    met, peaks = 0, dict[int, tuple[int, tuple[int, ...]]]()
    for level in range(int(depth.max()), 0, -1):
        islands, count = ndimage.label(depth >= level)
        on: dict[int, list[tuple[int, tuple[int, ...]]]] = {number: [] for number in range(1, count + 1)}
        for height, place in peaks.values():
            on[int(islands[place])].append((height, place))
        for number, found in on.items():
            highest, *others = sorted(found, reverse=True) or [(level, tuple(np.argwhere(islands == number)[0]))]
            met += sum(height - level >= rise for height, _ in others)
            peaks[number] = highest
        peaks = {number: peaks[number] for number in on}
    return met + len(peaks)


@pytest.mark.parametrize("peak_px", [0.25, 0.5, 1.0])
def test_an_object_is_a_peak_that_rises_far_enough(peak_px: float) -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(90, 110)), 4) > 0
    distance = ndimage.distance_transform_edt(mask).astype(np.float32)
    depth = np.where(mask, np.rint(16 * ndimage.gaussian_filter(distance, 1)), 0)
    assert grown(mask, mask, peak_px=peak_px, fill=False).max() == _flooded(depth, 16 * peak_px)


def test_enclosed_background_is_filled_but_other_objects_are_not() -> None:
    ring = discs((21, 21), [(10, 10)], 9)
    ring[discs((21, 21), [(10, 10)], 5) > 0] = 0
    mask = ring > 0
    mask[10, 10] = True  # an object in the hole
    filled = grown(mask, mask)
    assert filled[10, 10] == 2
    assert filled[10, 8] == 1
    assert grown(mask, mask, fill=False)[10, 8] == 0


def test_holes_smaller_than_an_object_make_no_necks() -> None:
    mask = discs((40, 40), [(20, 20)], 14) > 0
    mask[20, 12:28] = False  # texture of 16 px
    assert grown(mask, mask, smallest_px=30, peak_px=0.5).max() == 1
    assert grown(mask, mask, smallest_px=10, peak_px=0.5).max() == 2


@pytest.mark.parametrize("smallest_px", [0, 314, 628])  # a quarter and half of a disc
@pytest.mark.parametrize("centres", [[(20, 20)], [(20, 20), (20, 61)], [(25, 25), (25, 66), (60, 46)]])
def test_background_between_objects_and_at_the_edge_of_the_image_stays(
    centres: list[tuple[int, int]], smallest_px: int
) -> None:
    truth = discs((90, 90), centres, 20)
    core = np.logical_or.reduce([ndimage.binary_erosion(truth == n, iterations=3) for n in range(1, len(centres) + 1)])
    ids = grown(truth > 0, core, smallest_px, 1.0)
    assert ids.max() == len(centres)
    assert np.array_equal(ids > 0, truth > 0)


@pytest.mark.parametrize(("smallest", "found"), [(0, [[1, 1, 0, 2]]), (2, [[1, 1, 0, 0]]), (3, [[0, 0, 0, 0]])])
def test_small_objects_are_left_out(smallest: int, found: list[list[int]]) -> None:
    assert components(np.array([[1, 1, 0, 1]], np.uint8), smallest).tolist() == found


def test_components_are_those_of_each_class_connected_by_sides() -> None:
    labels = np.array([[1, 2, 0], [0, 2, 1], [1, 0, 1]], np.uint8)
    assert components(labels).tolist() == [[1, 2, 0], [0, 2, 3], [4, 0, 3]]


def test_ids_follow_the_order_of_first_pixels_without_gaps() -> None:
    assert renumbered(np.array([[9, 0, 4], [9, 2, 4]], np.int32)).tolist() == [[1, 0, 2], [1, 3, 2]]


def test_an_object_has_the_class_of_most_of_its_pixels() -> None:
    ids = np.array([[1, 1, 1, 0, 2]], np.int32)
    votes = np.array([[2, 1, 2, 1, 1]], np.uint8)
    assert classes_of(ids, votes, 3).tolist() == [[2, 2, 2, 0, 1]]


def test_objects_of_a_volume_connect_slices() -> None:
    labels = np.zeros((3, 2, 2), np.uint8)
    labels[:, 0, 0] = 1
    assert components(labels).max() == 1


def test_partners_share_more_than_half_of_their_union() -> None:
    one, other = np.array([1, 1, 1, 0, 2, 2]), np.array([5, 5, 5, 5, 0, 7])
    assert unmatched(one, other) == 2  # 3 of 4 px; 1 of 2 px is no more than half
    assert unmatched(one, one) == 0
    assert unmatched(one, np.zeros_like(one)) == 2
