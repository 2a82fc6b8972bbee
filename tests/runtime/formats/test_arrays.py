"""Arrays and pictures in memory, and their channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.formats import from_array, from_pil, without_opaque_alpha
from seg_runtime.pipeline import is_grey
from seg_runtime.pipeline.fit import fit_channels

from tests.support.pictures import every_value, png
from tests.support.reading import one


def test_arrays_keep_their_values() -> None:
    assert from_array(np.zeros((2, 3), np.uint8)).shape == (2, 3, 1)
    assert from_array(np.array([[True, False]])).ravel().tolist() == [255, 0]
    assert from_array(np.array([[-1000, 3000]], np.int16)).ravel().tolist() == [-1000, 3000]
    assert from_array(np.array([[0.5]])).dtype == np.float32


def test_arrays_of_the_other_byte_order_are_understood() -> None:
    read = from_array(np.array([[258]], ">u2"))
    assert read.ravel().tolist() == [258]
    assert read.dtype == np.uint16


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((2, 2, 2, 2)), "shape"),
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros((5, 5, 0)), "no pixels"),
        (np.array([[np.nan]]), "NaN"),
        (np.array([[np.inf]]), "infinity"),
        (np.array([[1 << 25]]), "2\\*\\*24"),
        (np.array([[np.iinfo(np.int64).min + 1]]), "2\\*\\*24"),
        (np.array([[1e300]]), "finite|fit|float32"),
        (np.array([["a"]]), "dtype"),
        (np.array([[1j]]), "dtype"),
        (np.array([[None]]), "dtype"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array: Any, word: str) -> None:
    with np.errstate(over="ignore"), pytest.raises(ImageError, match=word):
        from_array(array)


def test_pil_images() -> None:
    assert from_pil(Image.new("LA", (2, 1), (7, 255))).tolist() == [[[7], [7]]]
    assert from_pil(Image.new("LA", (2, 1), (7, 254))).tolist() == [[[7, 254], [7, 254]]]
    with pytest.raises(ImageError, match="mode HSV"):
        from_pil(Image.new("HSV", (2, 2)))


def test_channels_are_converted_where_nothing_is_lost() -> None:
    grey, rgb = every_value(1, "uint8"), every_value(3, "uint8")
    np.testing.assert_array_equal(fit_channels(rgb, 3), rgb)
    np.testing.assert_array_equal(fit_channels(grey, 3), np.concatenate([grey] * 3, -1))
    np.testing.assert_array_equal(fit_channels(np.concatenate([grey] * 3, -1), 1), grey)


def test_opaque_in_16_bits_is_65535() -> None:
    image = np.full((2, 2, 4), 65535, np.uint16)
    assert without_opaque_alpha(image).shape == one(png(image)).shape == (2, 2, 3)
    image[0, 0, 3] = 255
    assert without_opaque_alpha(image).shape == one(png(image)).shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("have", "want", "word"), [(4, 3, "transparent"), (2, 1, "transparent"), (3, 1, "in colour"), (5, 3, "5 channels")]
)
def test_channels_that_would_lose_something_are_refused(have: int, want: int, word: str) -> None:
    image = np.arange(4 * have, dtype=np.uint8).reshape(2, 2, have)
    with pytest.raises(ImageError, match=word):
        fit_channels(image, want)


def test_is_grey() -> None:
    image = np.full((2, 2, 3), 5, np.uint8)
    assert is_grey(image)
    image[1, 1, 2] = 6
    assert not is_grey(image)
