from __future__ import annotations

import numpy as np
import pytest
from seg_runtime import ClassInfo, Intensity
from seg_runtime.answers.overlay import _outline, blend, overlay, visible

from tests.support.images import noise_image

CLASSES = [ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (200, 100, 0))]


def test_8_bits_are_shown_as_they_are() -> None:
    image = noise_image(4, 5)
    np.testing.assert_array_equal(visible(image), image)


def test_grey_and_grey_with_alpha_become_three_channels() -> None:
    assert visible(np.full((2, 2, 1), 7, np.uint8)).tolist() == [[[7, 7, 7]] * 2] * 2
    assert visible(np.dstack([np.full((2, 2), 7), np.full((2, 2), 255)]).astype(np.uint8)).max() == 7


def test_16_bits_are_stretched_for_the_eye() -> None:
    shown = visible(np.linspace(1000, 1400, 10_000).astype(np.uint16).reshape(100, 100, 1))
    assert shown.min() == 0
    assert shown.max() == 255


def test_a_constant_16_bit_field_does_not_divide_by_zero() -> None:
    with np.errstate(all="raise"):
        assert len(np.unique(visible(np.full((4, 4, 1), 900, np.uint16)))) == 1


def test_outline_by_hand() -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    assert _outline(labels).astype(int).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_blend_by_hand() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2:, 2:] = 1
    shown = blend(np.full((6, 6, 3), 100, np.uint8), labels, CLASSES)
    assert shown[0, 0].tolist() == [100, 100, 100]  # background
    assert shown[4, 4].tolist() == [135, 100, 65]  # 0.65 * 100 + 0.35 * colour
    assert shown[3, 1].tolist() == [200, 100, 0]  # _outline


def test_blend_changes_nothing_where_all_is_background() -> None:
    image = noise_image(5, 6)
    np.testing.assert_array_equal(blend(image, np.zeros((5, 6), np.uint8), CLASSES), image)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (40, 900), (300, 20)])
def test_the_legend_lies_below_the_image(shape: tuple[int, int]) -> None:
    image = noise_image(*shape)
    sheet = np.asarray(overlay(image, np.zeros(shape, np.uint8), CLASSES))
    assert sheet.shape[0] > shape[0]
    np.testing.assert_array_equal(sheet[: shape[0], : shape[1]], image)
    legend = sheet[shape[0] :].reshape(-1, 3).tolist()
    assert [200, 100, 0] in legend


def test_256_classes_have_a_legend() -> None:
    many = [ClassInfo(f"class {i}", (i, 0, 0)) for i in range(256)]
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sheet = np.asarray(overlay(noise_image(16, 16), labels, many))
    assert [255, 0, 0] in sheet[16:].reshape(-1, 3).tolist()


def test_a_model_that_sees_a_window_shows_it() -> None:
    image = np.array([[[-160.0], [40.0], [240.0], [3000.0]]], np.float32)
    shown = visible(image, Intensity("window", level=40, width=400))
    assert shown[0, :, 0].tolist() == [0, 127, 255, 255]
