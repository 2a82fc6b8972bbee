from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.pipeline import cut
from seg_runtime.support.errors import OptionsError
from seg_toolkit.data.augment import AUGMENTATIONS, NONE, Augmentation, Draw, warp

STILL = Draw(np.eye(2), np.zeros((2, 3, 3)), contrast=1.0, brightness=0.0, gamma=1.0, colour=0.0, noise=0.0, seed=0)


def elastic_field(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """How far each pixel of a window is displaced."""
    moved, still = (change.coordinates((0.0, 0.0), shape) for change in (replace(STILL, displacement_px=points), STILL))
    return moved - still


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int = 50, width: int = 70) -> NDArray[np.uint8]:
    return generator(5).integers(0, 256, (height, width, 1), np.uint8)


def test_same_seed_draws_the_same() -> None:
    one, two = Augmentation().draw(generator(3)), Augmentation().draw(generator(3))
    np.testing.assert_array_equal(one.matrix, two.matrix)
    np.testing.assert_array_equal(one.displacement_px, two.displacement_px)
    assert (one.contrast, one.gamma, one.seed) == (two.contrast, two.gamma, two.seed)


def test_a_draw_takes_as_many_values_whatever_is_on() -> None:
    full, flipless = generator(), generator()
    Augmentation().draw(full)
    replace(Augmentation(), elastic_px=0.0).draw(flipless)
    assert full.random() == flipless.random()


def test_no_augmentation_draws_nothing() -> None:
    change = NONE.draw(generator())
    np.testing.assert_allclose(change.matrix, np.eye(2))
    assert not change.displacement_px.any()
    assert (change.contrast, change.brightness, change.gamma, change.noise) == (1, 0, 1, 0)


def test_displacements_have_a_standard_deviation_of_10_px() -> None:
    rng = generator()
    drawn = np.stack([Augmentation().draw(rng).displacement_px for _ in range(1000)])
    assert drawn.std() == pytest.approx(10, rel=0.02)  # 18 000 values: one standard error is 0.5 %
    assert abs(drawn.mean()) < 0.3


def test_flips_occur_half_of_the_time() -> None:
    rng = generator()
    mirrored = [np.linalg.det(Augmentation().draw(rng).matrix) < 0 for _ in range(1000)]
    assert 0.45 < np.mean(mirrored) < 0.55


def test_scale_stays_in_its_range() -> None:
    rng = generator()
    zooms = [abs(np.linalg.det(Augmentation().draw(rng).matrix)) ** -0.5 for _ in range(500)]
    assert 0.90 <= min(zooms) < 0.92
    assert 1.08 < max(zooms) <= 1.10


def test_rotations_reach_every_quadrant() -> None:
    rng = generator()
    turns = [replace(NONE, rotation_deg=180.0).draw(rng).matrix for _ in range(200)]
    assert {(m[0, 0] > 0, m[1, 0] > 0) for m in turns} == {(a, b) for a in (True, False) for b in (True, False)}


def test_control_points_lie_on_corners_edges_and_centre() -> None:
    points = generator().normal(0, 10, (2, 3, 3))
    field = elastic_field(points, (41, 61))
    np.testing.assert_allclose(field[:, ::20, ::30], points, atol=1e-9)


def test_elastic_field_is_the_natural_cubic_spline_of_its_points() -> None:
    points = np.zeros((2, 3, 3))
    points[0, 1, 1] = 6.0
    # cubic B-spline coefficients c of (0, 6, 0), mirrored: (2 c0 + 4 c1)/6 = 6 and (4 c0 + 2 c1)/6 = 0 give -6 and 12
    middle_row = elastic_field(points, (5, 5))[0, 2]
    halfway = (23 * -6 + 23 * 12 + 1 * 12 + 1 * -6) / 48
    np.testing.assert_allclose(middle_row, [0, halfway, 6, halfway, 0], atol=1e-9)


def test_no_displacement_gives_a_field_of_zeros() -> None:
    assert not elastic_field(np.zeros((2, 3, 3)), (7, 9)).any()


def test_coordinates_without_change_are_the_pixels_around_the_centre() -> None:
    rows, columns = STILL.coordinates((10.0, 20.0), (3, 5))
    assert rows[:, 0].tolist() == [9, 10, 11]
    assert columns[0].tolist() == [18, 19, 20, 21, 22]


def test_zoom_of_two_reads_every_half_pixel() -> None:
    rows, _ = replace(STILL, matrix=np.eye(2) / 2).coordinates((10.0, 10.0), (5, 5))
    assert rows[:, 0].tolist() == [9, 9.5, 10, 10.5, 11]


@pytest.mark.parametrize("order", [0, 3])
@pytest.mark.parametrize("centre", [(20.0, 30.0), (0.0, 0.0), (60.0, -30.0)])
def test_warp_without_change_cuts_as_the_runtime_does(order: int, centre: tuple[float, float]) -> None:
    image = noise()
    got = warp(image, STILL.coordinates(centre, (31, 21)), order)  # type: ignore[arg-type]
    expected = cut(image, (int(centre[0]) - 15, int(centre[1]) - 10), (31, 21))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_nearest_warp_keeps_dtype_and_values() -> None:
    image = noise() // 64 * 64
    got = warp(image, Augmentation().draw(generator()).coordinates((25, 35), (40, 40)), 0)
    assert got.dtype == np.uint8
    assert set(np.unique(got)) == {0, 64, 128, 192}


def test_quarter_turn_is_exact() -> None:
    image = noise(31, 31)
    turned = warp(image, replace(STILL, matrix=np.array([[0, -1], [1, 0]])).coordinates((15, 15), (31, 31)), 0)
    np.testing.assert_array_equal(turned[..., 0], np.rot90(image[..., 0], -1))


def test_bicubic_warp_is_a_prefiltered_cubic_spline() -> None:
    image = noise(60, 60).astype(np.float32)
    where = replace(Augmentation(), elastic_px=2.0).draw(generator(1)).coordinates((30, 30), (20, 20))
    whole = ndimage.map_coordinates(image[..., 0].astype(np.float64), where, order=3, mode="mirror")
    np.testing.assert_allclose(warp(image, where, 3)[2:-2, 2:-2, 0], whole[2:-2, 2:-2], atol=1)


@pytest.mark.parametrize("seed", range(5))
def test_image_labels_and_weights_stay_aligned(seed: int) -> None:
    rows, columns = np.mgrid[:120, :120]
    labels = (((rows // 24) + (columns // 24)) % 2).astype(np.uint8)[..., None]
    where = Augmentation().draw(generator(seed)).coordinates((60, 60), (80, 80))
    image = warp(labels * np.uint8(200), where, 3)
    moved = warp(labels, where, 0)
    weights = warp(labels.astype(np.float32) * 3, where, 0)
    np.testing.assert_array_equal(weights, moved * np.float32(3))
    assert ((image > 100) == (moved == 1)).mean() > 0.98  # pixels on an edge may differ by half a pixel


def test_grey_values_without_change_stay() -> None:
    window = generator().normal(0, 1, (20, 20, 3)).astype(np.float32)
    np.testing.assert_allclose(STILL.vary_grey(window), window, atol=1e-5)


def test_empty_window_stays_empty() -> None:
    window = np.full((8, 8, 1), 0.25, np.float32)
    np.testing.assert_array_equal(Augmentation().draw(generator()).vary_grey(window), window)


def test_contrast_spreads_about_the_mean() -> None:
    window = np.array([[[-1.0], [1.0], [3.0]]], np.float32)
    np.testing.assert_allclose(replace(STILL, contrast=2.0).vary_grey(window).ravel(), [-3, 1, 5], atol=1e-6)


def test_brightness_is_in_units_of_the_spread() -> None:
    window = np.array([[[-1.0], [1.0]]], np.float32)  # standard deviation 1
    np.testing.assert_allclose(replace(STILL, brightness=0.5).vary_grey(window).ravel(), [-0.5, 1.5], atol=1e-6)


def test_gamma_keeps_the_extremes() -> None:
    window = np.array([[[0.0], [2.0], [4.0]]], np.float32)
    np.testing.assert_allclose(replace(STILL, gamma=2.0).vary_grey(window).ravel(), [0, 1, 4], atol=1e-6)


def test_noise_has_the_drawn_spread_and_seed() -> None:
    window = np.tile(np.array([-1.0, 1.0], np.float32), 5000).reshape(100, 100, 1)
    one = replace(STILL, noise=0.2, seed=4).vary_grey(window)
    assert float((one - window).std()) == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(one, replace(STILL, noise=0.2, seed=4).vary_grey(window))


def test_colour_moves_each_channel_for_itself_and_leaves_grey_alone() -> None:
    window = generator(5).random((50, 60, 3)).astype(np.float32)
    moved = replace(STILL, colour=0.2, seed=7).vary_grey(window)
    for channel in range(3):
        slope, offset = np.polyfit(window[..., channel].ravel(), moved[..., channel].ravel(), 1)
        assert np.exp(-0.2) <= slope <= np.exp(0.2)
        np.testing.assert_allclose(moved[..., channel], window[..., channel] * slope + offset, atol=1e-5)
    shifts = (moved - window).mean(axis=(0, 1)) / window.std(axis=(0, 1))
    assert len(np.unique(shifts.round(3))) == 3
    assert np.abs(shifts).max() <= 0.2 + 1e-5
    grey = window[..., :1]
    np.testing.assert_allclose(replace(STILL, colour=0.2).vary_grey(grey), grey, atol=1e-6)


def test_settings_go_on_top_of_a_name() -> None:
    assert Augmentation.parse("slight") == Augmentation()
    assert Augmentation.parse("none") == NONE
    found = Augmentation.parse("wide, rotation=10,flips=horizontal,elastic=2.5")
    assert found == replace(AUGMENTATIONS["wide"], rotation_deg=10, flips="horizontal", elastic_px=2.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("much", "auto, none, slight, wide"),
        ("slight,spin=3", "elastic, rotation, scale, shift, flips"),
        ("slight,rotation_deg=3", "elastic, rotation"),
        ("slight,rotation=3,rotation=4", "repeats the setting 'rotation'"),
        ("slight,", "setting ''"),
        ("slight,rotation", "from 0 to 180"),
        ("slight,rotation=181", "from 0 to 180"),
        ("slight,rotation=-1", "from 0 to 180"),
        ("slight,noise=nan", "from 0 to 5"),
        ("slight,scale=1", "from 0 to 0.9"),
        ("slight,flips=vertical", "all or horizontal or none"),
    ],
)
def test_odd_settings_name_the_known_ones(text: str, told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        Augmentation.parse(text)


@pytest.mark.parametrize("axes", [2, 3])
def test_horizontal_flips_never_turn_anybody_upside_down(axes: int) -> None:
    rng, how = generator(), Augmentation.parse("none,flips=horizontal")
    signs = np.stack([np.diag(how.draw(rng, axes).matrix) for _ in range(200)])
    assert (signs[:, :-1] == 1).all()
    assert 0.4 < (signs[:, -1] == -1).mean() < 0.6
    assert (Augmentation.parse("none").draw(rng, axes).matrix == np.eye(axes)).all()


def test_a_small_rotation_stays_small() -> None:
    rng, how = generator(), Augmentation.parse("none,rotation=10")
    angles = [np.rad2deg(np.arctan2(*how.draw(rng).matrix[1::-1, 0])) for _ in range(200)]
    assert 8 < np.abs(angles).max() <= 10


def test_how_flips_are_asked_for_leaves_the_other_draws_alone() -> None:
    one, two = generator(), generator()
    Augmentation.parse("slight").draw(one)
    Augmentation.parse("slight,flips=none").draw(two)
    assert one.random() == two.random()


@pytest.mark.parametrize("axes", [2, 3])
def test_the_symmetries_of_the_square_are_drawn_alike_and_move_no_pixel_off_another(axes: int) -> None:
    rng, how = generator(), Augmentation.parse("none,flips=square")
    drawn = [how.draw(rng, axes).matrix for _ in range(800)]
    assert all(np.array_equal(np.abs(m) @ np.abs(m), np.eye(axes)) for m in drawn)
    planes = [tuple(m[-2:, -2:].ravel().tolist()) for m in drawn]
    counts = [planes.count(one) for one in set(planes)]
    assert len(counts) == 8
    assert 60 < min(counts) <= max(counts) < 140
