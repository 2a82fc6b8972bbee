"""Arrays given to a Segmenter: any type whose values fit, and no result that depends on what the caller does later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from seg_runtime import ImageError, Segmenter
from seg_runtime.model import Policy
from seg_runtime.pipeline import GreyValues, training_range

from tests.support.images import noise_image
from tests.support.models import Made, MakeModel
from tests.support.policies import with_parts

IMAGE = noise_image(60, 70, 1)


@pytest.fixture(scope="module")
def grey(make_model: MakeModel) -> Any:
    with Segmenter(make_model(channels=1).path, provider="cpu") as segmenter:
        yield segmenter


def test_results_do_not_depend_on_what_becomes_of_the_array(grey: Segmenter) -> None:
    buffer = IMAGE.copy()
    result = grey(buffer)
    wanted = result.labels.copy()
    buffer[:] = noise_image(60, 70, 1, seed=9)
    np.testing.assert_array_equal(result.labels, wanted)
    np.testing.assert_array_equal(result.probabilities.argmax(0), wanted)
    np.testing.assert_array_equal(result.image, IMAGE)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint32", "float32", "float64", "list"])
def test_numbers_that_fit_are_accepted(grey: Segmenter, dtype: str) -> None:
    wanted = grey(IMAGE).labels
    given: Any = IMAGE.tolist() if dtype == "list" else IMAGE.astype(dtype)
    np.testing.assert_array_equal(grey(given).labels, wanted)
    wide = IMAGE.astype(np.uint16) * 257
    np.testing.assert_array_equal(grey(wide.tolist() if dtype == "list" else wide.astype("int64")).labels, wanted)


def test_booleans_are_black_and_white(grey: Segmenter) -> None:
    mask = IMAGE > 127
    np.testing.assert_array_equal(grey(mask).labels, grey(mask.astype(np.uint8) * np.uint8(255)).labels)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (IMAGE / 255, "array has float64 values that are not whole numbers"),
        ((IMAGE / 255).astype(np.float32), "has float32 values that are not whole numbers"),
        (IMAGE.astype(np.int64) - 99, "has int64 values from -94 to"),
        (IMAGE.astype(np.int32) * 1000, "has int32 values from 5000 to 247000"),
        (np.full((20, 20), np.nan), "has float64 values from nan"),
    ],
)
def test_others_are_refused_under_their_real_type(grey: Segmenter, array: Any, found: str) -> None:
    with pytest.raises(ImageError, match=found):
        grey(array)


def test_a_grey_image_in_a_colour_model_gets_a_note(model: Made) -> None:
    with Segmenter(model.path, provider="cpu") as segmenter:
        for image in (IMAGE, np.repeat(IMAGE, 3, axis=-1)):
            (text,) = segmenter(image).record["warnings"]
            assert text.startswith("image is grey, while the model was trained on colour images")
        assert segmenter(noise_image(60, 70, 3)).record["warnings"] == []


def test_8_bits_in_a_16_bit_array_get_a_note(make_model: MakeModel, tmp_path: Any) -> None:
    policy = Policy(grey_values=training_range([GreyValues.of(IMAGE)] * 3))
    path = with_parts(make_model(channels=1).path, tmp_path / "m.onnx", policy=policy)
    with Segmenter(path, provider="cpu") as segmenter:
        (text,) = segmenter(IMAGE.astype(np.uint16)).record["warnings"]
        assert "has bright values at 0." in text
        assert segmenter(IMAGE).record["warnings"] == []
