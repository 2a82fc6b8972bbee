"""Objects from masks: what touches, encloses, is small, or has another class."""

from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.answers.separate import classes_of, components, grown, renumbered, unmatched
from skimage.segmentation import watershed

from tests.support.touching import discs


def test_each_seed_becomes_an_object_and_they_meet_in_the_valley() -> None:
    mask = np.ones((1, 7), bool)
    height = np.array([[9, 5, 3, 1, 4, 6, 9]], np.uint8)
    ids = grown(mask, height >= 9, height)
    assert ids[0, :3].tolist() == [1, 1, 1]
    assert ids[0, 4:].tolist() == [2, 2, 2]


def test_a_part_without_a_seed_is_an_object_of_its_own() -> None:
    mask = np.array([[1, 1, 0, 1, 1]], bool)
    seeds = np.array([[1, 0, 0, 0, 0]], bool)
    assert grown(mask, seeds, mask.astype(np.uint8)).tolist() == [[1, 1, 0, 2, 2]]


def test_seeds_beyond_the_mask_are_those_of_no_object() -> None:
    nothing = np.zeros((5, 5), bool)
    assert not grown(nothing, nothing, nothing.astype(np.uint8)).any()


def test_parts_with_one_seed_are_as_a_watershed_of_all_gives_them() -> None:
    rng = np.random.default_rng(0)
    height = rng.integers(0, 255, (60, 60)).astype(np.uint8)
    mask, seeds = height > 60, height > 230
    ids = grown(mask, seeds & mask, height, fill=False)
    from skimage.measure import label

    markers = label(seeds & mask, connectivity=1)
    whole = watershed(255 - height, markers, connectivity=1, mask=mask)
    seeded = whole > 0
    assert unmatched(np.where(seeded, ids, 0), whole) == 0


def test_enclosed_background_is_filled_but_other_objects_are_not() -> None:
    ring = discs((21, 21), [(10, 10)], 9)
    ring[discs((21, 21), [(10, 10)], 5) > 0] = 0
    mask = ring > 0
    mask[10, 10] = True  # an object in the hole
    filled = grown(mask, mask, mask.astype(np.uint8))
    assert filled[10, 10] == 2
    assert filled[10, 8] == 1
    assert grown(mask, mask, mask.astype(np.uint8), fill=False)[10, 8] == 0


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
