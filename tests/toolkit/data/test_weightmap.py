from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support.errors import SegError
from seg_toolkit.data.weightmap import border_term, split_touching, weight_map

TABLE = [(1, 9.231163), (2, 8.352702), (3, 7.261490), (5, 4.867523), (10, 0.889216), (20, 0.001477)]


def slabs(gap: int, second: int = 2) -> NDArray[np.int32]:
    """Two upright cells with a straight gap between them."""
    cells = np.zeros((15, 24 + gap), np.int32)
    cells[:, :12], cells[:, 12 + gap :] = 1, second
    return cells


def discs(*circles: tuple[int, int, int], size: int = 80) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:size, :size]
    inside = [(rows - y) ** 2 + (columns - x) ** 2 < r * r for y, x, r in circles]
    return np.any(inside, axis=0).astype(np.uint8)


@pytest.mark.parametrize(("gap", "term"), TABLE)
def test_gap_between_instances(gap: int, term: float) -> None:
    weights = weight_map(slabs(gap), [1.0, 1.0])
    np.testing.assert_allclose(weights[:, 12 : 12 + gap], 1 + term, atol=1e-5)


@pytest.mark.parametrize(("gap", "term"), TABLE)
def test_gap_between_parts_of_a_semantic_mask(gap: int, term: float) -> None:
    weights = weight_map(slabs(gap, second=1), [1.0, 1.0])
    np.testing.assert_allclose(weights[:, 12 : 12 + gap], 1 + term, atol=1e-5)


def test_no_border_term_inside_cells() -> None:
    cells = slabs(2)
    assert (weight_map(cells, [3.0, 0.5])[cells > 0] == 0.5).all()


def test_sigma_and_w0_are_used_as_given() -> None:
    # (d1 + d2)² / (2 σ²) = 4² / (2 · 2²) = 2
    np.testing.assert_allclose(border_term(slabs(3), 7.0, 2.0)[:, 12:15], 7 * np.exp(-2), rtol=1e-12)


def test_a_single_cell_draws_no_border() -> None:
    labels = discs((40, 40, 10))
    np.testing.assert_array_equal(weight_map(labels, [0.75, 1.5]), np.where(labels, 1.5, 0.75).astype(np.float32))


def test_a_single_instance_with_a_high_id_draws_no_border() -> None:
    cells = discs((40, 40, 10)).astype(np.uint16) * 300
    np.testing.assert_array_equal(weight_map(cells, [0.75, 1.5]), np.where(cells, 1.5, 0.75).astype(np.float32))


def test_no_cell_keeps_the_background_weight() -> None:
    assert (weight_map(np.zeros((5, 6), np.uint8), [0.3, 1.0]) == np.float32(0.3)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, bool])
def test_fractional_class_weights_survive_integer_masks(dtype: type) -> None:
    labels = discs((40, 40, 10)).astype(dtype)
    assert set(np.unique(weight_map(labels, [0.25, 1.75]))) == {np.float32(0.25), np.float32(1.75)}


def test_w0_of_zero_leaves_the_class_weights() -> None:
    assert set(np.unique(weight_map(slabs(2), [0.5, 2.0], w0=0.0))) == {np.float32(0.5), np.float32(2.0)}


def test_classes_of_a_label_image_have_their_own_weight_and_borders() -> None:
    labels = slabs(3)  # read as classes 1 and 2, for there are three weights
    weights = weight_map(labels, [1.0, 2.0, 4.0])
    assert (weights[:, :12] == 2).all()
    assert (weights[:, 15:] == 4).all()
    np.testing.assert_allclose(weights[:, 12:15], 1 + 7.261490, atol=1e-5)


def test_overlapping_discs_are_two_cells() -> None:
    labels = discs((40, 29, 12), (40, 51, 12))  # one connected part with a neck
    assert ndimage.label(labels)[1] == 1
    cells = split_touching(labels)
    assert len(np.unique(cells)) == 3
    assert cells[40, 29] != cells[40, 51]


def test_overlapping_discs_have_a_border_on_their_seam() -> None:
    labels = discs((40, 29, 12), (40, 51, 12))
    weights = weight_map(labels, [1.0, 1.0])
    seam = (labels == 1) & (weights > 1)
    rows, columns = np.nonzero(seam)
    assert len(rows) > 0
    assert set(columns) <= {38, 39, 40, 41, 42}  # the neck is at column 40
    np.testing.assert_allclose(weights[seam], 1 + 9.231163, atol=1e-5)  # a gap of one px


def test_a_convex_part_is_one_cell() -> None:
    np.testing.assert_array_equal(split_touching(discs((40, 40, 20))), discs((40, 40, 20)))


def test_small_cell_touching_a_large_one_is_told_apart() -> None:
    labels = discs((40, 30, 20), (40, 57, 8))  # they overlap by one px
    assert ndimage.label(labels)[1] == 1
    assert len(np.unique(split_touching(labels))) == 3


def brute_force(cells: NDArray[np.int32], w0: float, sigma_px: float) -> NDArray[np.float64]:
    distances = [ndimage.distance_transform_edt(cells != i) for i in np.unique(cells[cells > 0])]
    d1, d2 = np.sort(distances, axis=0)[:2]
    return np.where(cells > 0, 0, w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma_px**2)))


@pytest.mark.parametrize("seed", range(4))
def test_border_equals_a_distance_transform_per_cell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = np.zeros((97, 131), np.int32)
    for identity in rng.permutation(np.arange(1, 40))[:12]:  # ids with holes, some cells overwritten
        y, x, h, w = rng.integers(0, 80), rng.integers(0, 115), *rng.integers(3, 20, 2)
        cells[y : y + h, x : x + w] = identity
    np.testing.assert_allclose(border_term(cells, 10.0, 5.0), brute_force(cells, 10.0, 5.0), atol=1e-6)


@pytest.mark.parametrize(
    ("cells", "arguments", "came"),
    [
        (np.zeros(4, np.int32), {}, r"shape \(4,\)"),
        (np.zeros((3, 4), np.float32), {}, "float32"),
        (np.full((3, 4), -1), {}, "expected .* integers from 0"),
        (np.zeros((3, 4), np.int32), {"sigma_px": 0.0}, "sigma_px is 0.0"),
    ],
)
def test_what_is_no_mask_is_refused(cells: NDArray[np.generic], arguments: dict[str, float], came: str) -> None:
    with pytest.raises(SegError, match=came):
        weight_map(cells, [1.0, 1.0], **arguments)


def test_the_gap_between_two_boxes_of_a_volume() -> None:
    cells = np.zeros((5, 9, 20), np.int32)
    cells[:, :, :6], cells[:, :, 9:15] = 1, 2  # a straight gap of 3 px
    term = border_term(cells, 10.0, 5.0)
    np.testing.assert_allclose(term[:, :, 6:9], 7.261490, atol=1e-6)
    assert not term[cells > 0].any()
