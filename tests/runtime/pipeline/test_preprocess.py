from __future__ import annotations

import numpy as np
import pytest
from seg_runtime import Intensity
from seg_runtime.pipeline import Array, Grid, Normaliser, cut, mean_std, mirror_index

from tests.support.contracts import changed, contract

PAPER = contract(572)


def normalised(image: Array, intensity: Intensity) -> list[float]:
    return Normaliser.of(image, intensity)(image).ravel().tolist()


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (1, [0, 0, 0, 0, 0, 0, 0, 0]),
        (2, [1, 0, 1, 0, 1, 0, 1, 0]),
        (3, [1, 2, 1, 0, 1, 2, 1, 0]),
        (4, [3, 2, 1, 0, 1, 2, 3, 2]),
    ],
)
def test_mirror_index_by_hand(size: int, wanted: list[int]) -> None:
    assert mirror_index(-3, 8, size).tolist() == wanted


@pytest.mark.parametrize("size", [1, 2, 3, 5, 40])
def test_mirror_index_is_numpys_reflection_however_far_it_reaches(size: int) -> None:
    assert mirror_index(-92, size + 184, size).tolist() == np.pad(np.arange(size), 92, "reflect").tolist()


def test_mirror_index_far_beyond_the_end() -> None:
    assert mirror_index(1000, 4, 3).tolist() == [0, 1, 2, 1]  # 1000 is a multiple of the period 4


def test_cut_inside_and_beyond() -> None:
    image = np.arange(6).reshape(2, 3, 1)
    assert cut(image, (0, 1), (2, 2))[..., 0].tolist() == [[1, 2], [4, 5]]
    assert cut(image, (-1, -1), (4, 5))[..., 0].tolist() == [[4, 3, 4, 5, 4], [1, 0, 1, 2, 1], [4, 3, 4, 5, 4], [1, 0, 1, 2, 1]]  # fmt: skip


def test_cut_on_three_spatial_axes() -> None:
    volume = np.arange(8).reshape(2, 2, 2, 1)
    assert cut(volume, (-1, 0, 0), (2, 1, 1)).ravel().tolist() == [4, 0]


def test_scale() -> None:
    assert normalised(np.array([[[0], [51], [255]]], np.uint8), Intensity("scale")) == pytest.approx([0, 0.2, 1])


def test_scale_of_16_bits_and_of_floats() -> None:
    assert normalised(np.array([[[0], [13107], [65535]]], np.uint16), Intensity("scale")) == pytest.approx([0, 0.2, 1])
    assert normalised(np.array([[[0.0], [0.2], [7.0]]], np.float32), Intensity("scale")) == pytest.approx([0, 0.2, 7])


def test_standardize_per_channel() -> None:
    image = np.array([[[51, 102]]], np.uint8)  # 0.2 and 0.4 of the maximum
    assert normalised(image, Intensity("standardize", (0.1, 0.6), (0.5, 0.1))) == pytest.approx([0.2, -2.0], abs=1e-6)


def test_standardize_of_16_bits_equals_that_of_8() -> None:
    how = Intensity("standardize", (0.25,), (0.5,))
    grey = np.array([[[0], [100], [255]]], np.uint8)
    assert normalised(grey.astype(np.uint16) * 257, how) == pytest.approx(normalised(grey, how), abs=1e-6)


def test_window_clips_raw_grey_values() -> None:
    image = np.array([[[-1000], [-160], [40], [140], [240], [3000]]], np.float32)  # Hounsfield units
    assert normalised(image, Intensity("window", level=40, width=400)) == pytest.approx([0, 0, 0.5, 0.75, 1, 1])


def test_window_of_16_bits_is_in_grey_values_too() -> None:
    image = np.array([[[1000], [2000], [3000]]], np.uint16)
    assert normalised(image, Intensity("window", level=2000, width=4000)) == pytest.approx([0.25, 0.5, 0.75])


def test_zscore_by_hand() -> None:
    image = np.array([[[10], [30]]], np.uint8)  # mean 20, std 10
    assert normalised(image, Intensity("zscore", std_floor=1e-6)) == pytest.approx([-1, 1])


def test_zscore_per_channel() -> None:
    image = np.array([[[10, 200], [30, 100]]], np.uint8)
    assert normalised(image, Intensity("zscore", std_floor=1e-6)) == pytest.approx([-1, 1, 1, -1])


def test_zscore_floor_keeps_noise_small() -> None:
    image = np.array([[[99], [101]]], np.uint8)  # std 1/255, floor ten times that
    assert normalised(image, Intensity("zscore", std_floor=10 / 255)) == pytest.approx([-0.1, 0.1], rel=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("value", [0, 0.1, 1])
def test_zscore_of_an_empty_field_is_zero_not_nan(dtype: str, value: float) -> None:
    full = np.iinfo(dtype).max if dtype != "float32" else 1
    image = np.full((37, 41, 3), value * full).astype(dtype)
    assert not Normaliser.of(image, Intensity("zscore", std_floor=0.01))(image).any()


def test_zscore_of_16_bits() -> None:
    image = np.array([[[1000], [3000]]], np.uint16)
    assert normalised(image, Intensity("zscore", std_floor=1e-6)) == pytest.approx([-1, 1])


def test_mean_std_in_blocks_equals_numpy() -> None:
    image = np.random.default_rng(0).integers(0, 65536, (3000, 401, 2), dtype=np.uint16)  # three blocks of rows
    mean, std = mean_std(image)
    np.testing.assert_allclose(mean, image.mean(axis=(0, 1)) / 65535, rtol=1e-12)
    np.testing.assert_allclose(std, image.std(axis=(0, 1)) / 65535, rtol=1e-12)


@pytest.mark.parametrize(
    ("size", "starts"),
    [(1, [0]), (388, [0]), (389, [0, 384]), (772, [0, 384]), (773, [0, 384, 768])],
)
def test_windows_step_by_384(size: int, starts: list[int]) -> None:
    assert Grid.of((size, 1), PAPER.geometry).origins() == [(s, 0) for s in starts]


def test_fit_and_stretch_take_one_window() -> None:
    assert Grid.of((388, 200), changed(PAPER, method="fit").geometry).origins() == [(0, 0)]
    assert Grid.of((572, 572), changed(PAPER, method="stretch").geometry).origins() == [(0, 0)]


@pytest.mark.parametrize("shape", [(1, 1), (389, 388), (773, 500), (1160, 1157)])
def test_every_pixel_is_answered_once(shape: tuple[int, int]) -> None:
    grid = Grid.of(shape, PAPER.geometry)
    answered = np.zeros(shape, int)
    for origin in grid.origins():
        where, inside = grid.core(origin)
        assert answered[where].shape == np.zeros(grid.output_shape)[inside].shape
        answered[where] += 1
    assert answered.min() == answered.max() == 1


def test_a_window_is_the_mirrored_surroundings_of_its_output() -> None:
    image = np.arange(400 * 400, dtype=np.float32).reshape(400, 400, 1)
    raw = list(Grid.of((400, 400), PAPER.geometry).windows(image, Intensity("scale")))  # floats come through unchanged
    assert [w.shape for w in raw] == [(1, 1, 572, 572)] * 4
    assert raw[0][0, 0, 92, 92:95].tolist() == [0, 1, 2]
    assert raw[0][0, 0, 91, 90:94].tolist() == [402, 401, 400, 401]
    assert raw[3][0, 0, 92, 92] == 384 * 400 + 384


def test_windows_are_contiguous_float32() -> None:
    window = next(Grid.of((5, 5), PAPER.geometry).windows(np.zeros((5, 5, 1), np.uint8), Intensity("scale")))
    assert window.dtype == np.float32
    assert window.flags.c_contiguous
