from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.data.readers.annotations.raster import Outlines, Runs, filled


def test_a_rectangle_covers_the_pixels_whose_centres_it_contains() -> None:
    corners = np.array([(2, 1), (5, 1), (5, 3), (2, 3)], np.float64)
    expected = np.zeros((5, 8), bool)
    expected[1:3, 2:5] = True
    np.testing.assert_array_equal(filled(corners, (5, 8)), expected)
    np.testing.assert_array_equal(filled(corners[::-1], (5, 8)), expected)
    np.testing.assert_array_equal(filled(corners + 0.4, (5, 8)), expected)


def test_a_polygon_outside_the_image_is_cut() -> None:
    assert filled(np.array([(-9.0, -9), (99, -9), (99, 99), (-9, 99)]), (5, 8)).all()
    assert not filled(np.array([(-9.0, 0), (-1, 0), (-1, 5)]), (5, 8)).any()


def test_a_circle_has_its_area() -> None:
    turns = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    corners = np.stack([50 + 30 * np.cos(turns), 50 + 30 * np.sin(turns)], -1)
    assert filled(corners, (100, 100)).sum() == pytest.approx(np.pi * 900, rel=0.005)


def test_overlapping_parts_of_an_object_are_a_union() -> None:
    square = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
    moved = tuple((x + 2, y) for x, y in square)
    assert Outlines((square, moved))((4, 8)).sum() == 24
    twice = square + square  # the outline goes round twice
    assert Outlines((twice,))((4, 8)).sum() == 16


def test_runs_go_down_the_columns() -> None:
    mask = Runs((1, 2, 3), (3, 2), "a.json")((3, 2))
    assert mask.tolist() == [[False, False], [True, False], [True, False]]


@pytest.mark.parametrize(
    "runs", [Runs((1, 2), (3, 2), "a.json"), Runs((1, 5), (2, 3), "a.json"), Runs((9, -3), (3, 2), "a.json")]
)
def test_runs_of_another_size_are_refused(runs: Runs) -> None:
    with pytest.raises(DataError, match=r"a\.json"):
        runs((3, 2))
