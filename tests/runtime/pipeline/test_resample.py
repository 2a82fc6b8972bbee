from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from seg_runtime.pipeline import Array
from seg_runtime.pipeline.resample import BICUBIC_BITS, bands, resize

SIZES = [((5, 7), (5, 7)), ((100, 64), (388, 248)), ((700, 523), (388, 290)), ((1, 1), (388, 388)), ((300, 3), (17, 9))]


def weights(size: int, length: int) -> Array:
    """The matrix `(length, size)` of all weights of an axis."""
    found = np.zeros((length, size))
    for band in bands(size, length):
        found[band.results, band.source] = band.weights
    return found


def pillow(plane: Array, shape: tuple[int, int]) -> Array:
    rows_done = Image.fromarray(plane).resize((shape[1], plane.shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(rows_done.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("size", "shape"), SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_8_bit_equals_pillow_bit_for_bit(size: tuple[int, int], shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    if seed == 0:
        image = np.where(image > 127, 255, 0).astype(np.uint8)  # overshoots, hence clips
    answer = resize(image, shape)
    assert answer.dtype == np.uint8
    for channel in range(3):
        np.testing.assert_array_equal(answer[..., channel], pillow(image[..., channel], shape))


def test_random_sizes_equal_pillow() -> None:
    rng = np.random.default_rng(9)
    for _ in range(60):
        height, width, rows, columns = (int(n) for n in rng.integers(1, 400, 4))
        image = rng.integers(0, 256, (height, width, 1), dtype=np.uint8)
        np.testing.assert_array_equal(resize(image, (rows, columns))[..., 0], pillow(image[..., 0], (rows, columns)))


def test_16_bit_stays_within_a_grey_level_of_exact_arithmetic() -> None:
    image = np.random.default_rng(1).integers(0, 65536, (90, 120, 1), dtype=np.uint16)
    across, down = (weights(n, m) / 2**BICUBIC_BITS for n, m in ((120, 50), (90, 200)))
    exact = np.clip(down @ np.clip(image[..., 0] @ across.T, 0, 65535), 0, 65535)
    answer = resize(image, (200, 50))
    assert answer.dtype == np.uint16
    assert np.abs(answer[..., 0] - exact).max() < 1.5  # both passes round


def test_weights_of_each_pixel_sum_to_one() -> None:
    for size, length in ((10, 25), (1000, 388), (7, 7)):
        np.testing.assert_allclose(weights(size, length).sum(axis=1) / 2**BICUBIC_BITS, 1, atol=1e-4)
    np.testing.assert_array_equal(weights(7, 7), np.eye(7) * 2**BICUBIC_BITS)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_long_axis_needs_no_matrix_for_all_of_it(axis: int) -> None:
    """20,000 px to 10,000: the matrix would take 1.6 GB."""
    size, shape = (20_000, 8) if axis == 0 else (8, 20_000), (10_000, 8) if axis == 0 else (8, 10_000)
    image = np.random.default_rng(2).integers(0, 65536, (*size, 1), dtype=np.uint16)
    tracemalloc.start()
    try:
        assert resize(image, shape).shape == (*shape, 1)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
