"""Targets that separate objects: borders and distances, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from seg_toolkit.data import border, distances

from tests.support.touching import discs


def test_the_border_is_two_pixels_wide_on_each_side_of_an_edge() -> None:
    ids = np.zeros((20, 24), np.int32)
    ids[2:18, 2:12], ids[2:18, 12:22] = 1, 2
    found = border(ids)
    assert found[10, 2:22].tolist() == [True] * 2 + [False] * 6 + [True] * 4 + [False] * 6 + [True] * 2
    assert not found[ids == 0].any()


def test_a_thin_object_keeps_an_interior() -> None:
    ids = np.zeros((5, 20), np.int32)
    ids[1:4, 2:18] = 1  # 3 px: depth 2 in the middle
    found = border(ids)
    assert found[1, 10]
    assert not found[2, 10]


def test_distances_of_two_touching_squares() -> None:
    ids = np.zeros((9, 16), np.int32)
    ids[2:7, 2:7], ids[2:7, 7:12] = 1, 2
    edge, near = distances(ids)
    assert edge[4, 2:12].tolist() == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3] * 2)
    reach = 5.0  # the far side is 5 px from the other square
    assert near[4, 2:7].tolist() == pytest.approx([(1 - (d - 1) / reach) ** 3 for d in (5, 4, 3, 2, 1)])
    np.testing.assert_allclose(near[:, 2:7], near[:, 7:12][:, ::-1])
    assert edge[ids == 0].max() == 0


def test_an_object_far_from_others_has_no_neighbour() -> None:
    ids = discs((40, 120), [(20, 20), (20, 100)], 8)
    edge, near = distances(ids)
    assert near.max() == 0
    assert edge[20, 20] == edge[20, 100] == 1


def test_a_narrow_gap_is_closed_in_the_nearness() -> None:
    ids = np.zeros((9, 13), np.int32)
    ids[2:7, 1:6], ids[2:7, 7:12] = 1, 2
    assert distances(ids)[1][4, 6] > 0.4


def test_an_object_that_fills_the_image_and_an_empty_image() -> None:
    assert distances(np.ones((6, 7), np.int32))[0].min() == 1
    assert not border(np.zeros((6, 7), np.int32)).any()
    assert distances(np.zeros((6, 7), np.int32)).max() == 0


def test_ids_may_have_gaps_and_objects_may_be_volumes() -> None:
    ids = np.zeros((5, 9, 9), np.int32)
    ids[1:4, 2:7, 2:7] = 1000
    assert border(ids)[2, 2, 4]
    assert not border(ids)[2, 4, 4]
