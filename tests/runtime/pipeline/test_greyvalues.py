"""Images whose grey values differ from those of the training images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from seg_runtime import ContractError
from seg_runtime.model import Contract, Policy
from seg_runtime.model.input import Intensity
from seg_runtime.pipeline import Array, GreyValues, foreign, training_range

from tests.support.contracts import changed, contract


def scene(seed: int, level: float = 0.8) -> Array:
    """Bright discs on a dark background, uint8 `(120, 140, 1)`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :140]
    discs = sum(np.hypot(y - b, x - a) < 12 for a, b in rng.integers(15, 105, (6, 2))) > 0
    grey = 10 + rng.normal(0, 3, (120, 140)) + discs * level * 240
    return grey.clip(0, 255).astype(np.uint8)[..., None]


def model(images: list[Array], method: str = "scale") -> Any:
    known = training_range([GreyValues.of(image) for image in images])
    return changed(contract(), policy=Policy(grey_values=known), intensity=Intensity(method))


TRAINED = [scene(seed, 0.4 + seed / 40) for seed in range(24)]


def test_images_like_the_training_images_are_silent() -> None:
    contract = model(TRAINED)
    for image in (*TRAINED, *(scene(seed) for seed in range(100, 110))):
        assert foreign(image, contract, "a.png") == []
        assert foreign(image.astype(np.uint16) * 257, contract, "a.tif") == []


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_camera_with_fewer_bits_than_its_file(bits: int) -> None:
    image = (scene(50, 1.0).astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    (text,) = foreign(image, model([scene(s, 1.0) for s in range(5)]), "a.tif")
    assert text.startswith("a.tif has bright values at ")
    assert text.endswith(f"if the camera has {bits} bits, multiply the values by {2 ** (16 - bits)}")
    assert foreign(image << (16 - bits), model(TRAINED), "a.tif") == []


def test_a_bright_background_among_dark_ones() -> None:
    (text,) = foreign(255 - scene(50), model(TRAINED), "a.png")
    assert "a.png has a bright background" in text
    assert "invert the image" in text


def test_one_odd_training_image_does_not_hide_the_others() -> None:
    assert foreign(255 - scene(50), model([*TRAINED, *TRAINED, 255 - scene(7)]), "a.png")


def test_nothing_is_known_of_models_of_older_versions_and_of_raw_values() -> None:
    dark = 255 - scene(50)
    assert foreign(dark, contract(), "a.png") == []
    window = changed(model(TRAINED), intensity=Intensity("window", level=40.0, width=400.0))
    assert foreign(dark, window, "a.png") == []


@pytest.mark.parametrize("known", [{}, {"high": [0, 1]}, {"high": 1, "middle": 2}, {"high": [1, 0], "middle": [0, 1]}])
def test_a_range_that_is_none_is_an_error_of_the_contract(known: dict[str, Any]) -> None:
    raw = json.loads(contract().to_json())
    raw["policy"]["grey_values"] = known
    with pytest.raises(ContractError, match=r"grey_values|high"):
        Contract.from_json(json.dumps(raw))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_image_does_not_fail(value: int) -> None:
    image = np.full((30, 40, 1), value, np.uint8)
    GreyValues.of(image)
    foreign(image, model(TRAINED), "a.png")
