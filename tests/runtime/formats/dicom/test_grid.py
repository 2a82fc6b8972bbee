"""Whether slices lie on a regular grid."""

from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.formats.dicom.grid import Grid, grid_of
from seg_runtime.pipeline import Float

AXIAL = np.array([1.0, 0, 0, 0, 1, 0])
OBLIQUE = np.array([np.cos(0.5), np.sin(0.5), 0, 0, 0, -1])


def found(heights: list[float], sides: Float = AXIAL, lean: float = 0.0) -> Grid:
    normal = np.cross(sides[:3], sides[3:])
    positions = np.array([[3.0, -7.5, 11.0]]) + np.outer(heights, normal) + lean * np.outer(heights, sides[3:])
    return grid_of(positions, sides, (0.7, 0.7))


@pytest.mark.parametrize("sides", [AXIAL, OBLIQUE])
@pytest.mark.parametrize(
    "heights",
    [[0], [0, 5], [0, 5, 10, 15], [-2.5, 0, 2.5], [0, 0.6, 1.3, 1.9, 2.5, 3.1, 3.8], [0, 1.001, 2.001, 3.0, 4.002]],
)
def test_equal_distances_within_rounding_are_regular(heights: list[float], sides: Float) -> None:
    assert found(heights, sides) == Grid()


@pytest.mark.parametrize(
    ("heights", "missing"),
    [
        ([0, 5, 15, 20], ((1, 1),)),
        ([0, 10, 15, 20], ((0, 1),)),
        ([0, 5, 25, 30, 40], ((1, 3), (3, 1))),
        ([0, 2.5, 7.5], ((1, 1),)),
        ([0, 0.6, 1.9, 2.5, 3.1, 3.8], ((1, 1),)),
        ([0, 10, 15, 25, 30, 40], ((0, 1), (2, 1), (4, 1))),
    ],
)
def test_gaps_of_whole_slices_are_missing_slices(heights: list[float], missing: tuple[tuple[int, int], ...]) -> None:
    assert found(heights) == Grid(missing)
    assert found(heights, OBLIQUE).lacks == sum(count for _, count in missing)


@pytest.mark.parametrize(
    "heights", [[0, 5, 10, 15, 27, 32], [0, 5, 11, 15], [0, 1, 2, 3.5, 4.5], [0, 1, 1e7], [0, 5, 5.01, 10]]
)
def test_other_gaps_are_irregular(heights: list[float]) -> None:
    assert "the distances between its slices differ" in found(heights).irregular


def test_slices_of_a_tilted_gantry_are_irregular() -> None:
    heights = [0.0, 5, 10, 15, 20, 25]
    assert "tilted gantry" in found(heights, lean=0.2).irregular
    assert "tilted gantry" in found(heights[:2], lean=0.2).irregular
    assert found(heights, lean=0.01) == Grid()  # 0.25 mm, within rounding


def test_the_declared_distance_shows_a_regular_pattern_of_missing_slices() -> None:
    positions = np.array([[0.0, 0, z] for z in (0, 6, 12)])
    assert grid_of(positions, AXIAL, (0.7, 0.7)) == Grid()
    assert grid_of(positions, AXIAL, (0.7, 0.7), 3.0) == Grid(((0, 1), (1, 1)))
    assert grid_of(positions, AXIAL, (0.7, 0.7), 4.0) == Grid()  # not a multiple of it


def test_long_series_may_lean_by_the_rounding_of_their_directions() -> None:
    heights = [7.5 * k for k in range(101)]
    assert found(heights, lean=9e-4) == Grid()
    assert "tilted gantry" in found(heights, lean=3e-3).irregular
