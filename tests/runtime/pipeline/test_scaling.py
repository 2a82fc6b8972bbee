"""Resampling to the pixel size of the training images and back."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from PIL import Image
from seg_runtime.model import Acquisition, Policy
from seg_runtime.pipeline import Scaling
from seg_runtime.pipeline.geometry import resized
from seg_runtime.support import ImageError, OptionsError, described_length, parse_pixel_size

UM = 1e-3
ONE_SIZE = Policy(trained_spacing_mm=((0.25 * UM, 0.25 * UM),) * 2)
SIZES = Policy(trained_spacing_mm=((0.2 * UM, 0.4 * UM),) * 2)


def scaling(policy: Policy, side_um: float, mode: str = "auto", shape: tuple[int, ...] = (100, 60)) -> Scaling:
    return Scaling.of(shape, Acquisition(spacing_mm=(side_um * UM,) * len(shape)), policy, mode)


@pytest.mark.parametrize(
    ("policy", "side_um", "mode", "scaled"),
    [
        (ONE_SIZE, 0.5, "auto", (200, 120)),
        (ONE_SIZE, 0.125, "auto", (50, 30)),
        (ONE_SIZE, 0.25, "auto", (100, 60)),
        (ONE_SIZE, 0.3, "auto", (100, 60)),  # 20 %
        (ONE_SIZE, 0.32, "auto", (128, 77)),  # 28 %
        (ONE_SIZE, 0.3, "always", (120, 72)),
        (ONE_SIZE, 0.5, "never", (100, 60)),
        (SIZES, 0.3, "always", (100, 60)),  # among those of the training images
        (SIZES, 0.8, "auto", (200, 120)),  # to the nearest of them
        (SIZES, 0.1, "auto", (50, 30)),
        (Policy(), 0.5, "always", (100, 60)),
    ],
)
def test_the_size_for_the_network(policy: Policy, side_um: float, mode: str, scaled: tuple[int, ...]) -> None:
    assert scaling(policy, side_um, mode).scaled == scaled


def test_an_unknown_size_changes_nothing() -> None:
    assert not Scaling.of((100, 60), Acquisition(), ONE_SIZE, "always")


def test_axes_have_their_own_sizes() -> None:
    policy = Policy(trained_spacing_mm=((2.0, 2.0), (0.5, 0.5), (0.5, 0.5)))
    found = Scaling.of((10, 100, 60), Acquisition(spacing_mm=(4.0, 0.5, 1.0)), policy)
    assert found.scaled == (20, 100, 120)
    volume = np.zeros((10, 100, 60, 1), np.uint16)
    assert found.there(volume).shape == (20, 100, 120, 1)
    assert found.back(np.zeros((3, 20, 100, 120))).shape == (3, 10, 100, 60)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_image_that_becomes_too_large_is_refused(dtype: type) -> None:
    """1000 × 1000 px of 0.25 mm, at 0.25 µm, are 10¹² px."""
    image = np.zeros((1000, 1000, 1), dtype)
    with pytest.raises(ImageError) as caught:
        scaling(ONE_SIZE, 250, shape=(1000, 1000)).check_size(image, "a.tif")
    text = str(caught.value)
    assert "a.tif has 1000 × 1000 px, and 1000000 × 1000000 px with pixels of the size" in text
    assert "0.25 µm × 0.25 µm" in text
    assert "--pixel-size" in text
    assert "--resample never" in text
    assert "--max-pixels" in text


@pytest.mark.parametrize(
    ("side_um", "channels", "dtype", "most", "fits"),
    [
        (0.5, 1, np.uint8, 24_000, True), (0.5, 1, np.uint8, 23_999, False), (0.5, 1, np.float32, 24_000, True),
        (0.5, 3, np.uint8, 24_000, True), (0.5, 2, np.float32, 24_000, False), (0.5, 2, np.float32, 48_000, True),
        (0.125, 1, np.uint8, 1, True), (0.25, 1, np.uint8, 1, True),  # no larger than it is
    ],
)  # fmt: skip
def test_the_largest_size(side_um: float, channels: int, dtype: type, most: int, fits: bool) -> None:
    """100 × 60 px become 200 × 120 at half of their size; the limit is that of px of 4 bytes."""
    image = np.zeros((100, 60, channels), dtype)
    with contextlib.nullcontext() if fits else pytest.raises(ImageError):
        scaling(ONE_SIZE, side_um).check_size(image, "a.tif", most)


def test_the_slices_of_a_volume_stay_for_a_model_of_images() -> None:
    found = Scaling.of((4, 100, 60), Acquisition(spacing_mm=(9 * UM, 0.5 * UM, 0.5 * UM)), ONE_SIZE)
    assert found.scaled == (4, 200, 120)
    assert found.there(np.zeros((4, 100, 60, 1), np.uint8)).shape == (4, 200, 120, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("factor", [2, 0.5])
def test_positions_are_kept(dtype: type, factor: float) -> None:
    """A disc keeps its centre in fractions of the image, and its area in physical units."""
    rows, columns = np.indices((96, 80)) + 0.5
    disc = ((rows - 40) ** 2 + (columns - 30) ** 2 < 20**2).astype(dtype)
    found = scaling(ONE_SIZE, 0.25 * factor, shape=disc.shape)
    image = disc[..., None] * dtype(200)
    scaled = found.there(image)[..., 0] > 100
    assert scaled.shape == (96 * factor, 80 * factor)
    centre = (np.argwhere(scaled) + 0.5).mean(axis=0) / factor
    assert centre == pytest.approx([40, 30], abs=0.1)
    assert scaled.sum() / factor**2 == pytest.approx(disc.sum(), rel=0.03)
    back = found.back(scaled)
    overlap = 2 * (back & (disc > 0)).sum() / (back.sum() + disc.sum())
    assert overlap > 0.98


def test_a_volume_is_resampled_axis_by_axis() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (6, 16, 20, 2), np.uint8)
    found = resized(volume, (6, 8, 40))
    for plane, small in zip(volume, found, strict=True):
        assert np.array_equal(small, resized(plane, (8, 40)))
    along = resized(volume, (12, 16, 20))[:, 3, 4, 1]
    column = Image.fromarray(volume[:, 3, 4, 1][:, None]).resize((1, 12), Image.Resampling.BICUBIC)
    assert np.array_equal(along, np.asarray(column)[:, 0])


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("0.325um", (0.325e-3,)), ("0.325 µm", (0.325e-3,)), ("2x0.5x0.5mm", (2, 0.5, 0.5)), ("2 × 0.5 × 0.5 mm", (2, 0.5, 0.5)), ("325nm", (0.325e-3,)),
        ("1e-3 mm", (1e-3,)), ("4 Å", (4e-7,)), ("0.5x0.7 mm", (0.5, 0.7)),
    ],
)  # fmt: skip
def test_a_pixel_size_has_a_unit(text: str, sides: tuple[float, ...]) -> None:
    assert parse_pixel_size(text) == pytest.approx(sides)


@pytest.mark.parametrize(
    "text", ["0.325", "um", "0um", "-1um", "nan um", "1x2x3x4um", "1 furlong", "5e9 mm", "", "1;2mm"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(OptionsError, match=r"such as 0\.325um"):
        parse_pixel_size(text)


@pytest.mark.parametrize("text", ["1,5um", "0.5, 0.7 mm", "2,0x0,5mm"])
def test_a_comma_is_no_separator(text: str) -> None:
    with pytest.raises(
        OptionsError, match=r"with a comma.*Write 1\.5um for a decimal fraction, or 1x5um for two sides"
    ):
        parse_pixel_size(text)


@pytest.mark.parametrize(
    ("mm", "text"),
    [
        (0.7, "0.7 mm"), (0.00025, "0.25 µm"), (4e-7, "4 Å"), (12.5, "12.5 mm"), (5e-5, "50 nm"), (0.0, "0 Å"),
        (-2.0, "-2 mm"), (float("nan"), "nan mm"), (float("-inf"), "-inf mm"),
    ],
)  # fmt: skip
def test_a_length_has_the_unit_that_suits_it(mm: float, text: str) -> None:
    assert described_length(mm) == text
