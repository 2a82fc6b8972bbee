from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.answers import Values
from seg_runtime.model import Intensity
from seg_runtime.pipeline import GreyValues
from seg_runtime.support import DataError, OptionsError, SegError
from seg_toolkit.data import DataSet
from seg_toolkit.planning import (
    DataStatistics,
    choose_augmentation,
    choose_balance,
    choose_channels,
    choose_class_weights,
    choose_geometry,
    choose_intensity,
    choose_outputs,
)
from seg_toolkit.planning.statistics import CaseStatistics, TargetStatistics

from tests.support.contracts import contract
from tests.support.folders import seen, texture, write_discs

NOTHING = DataStatistics((), DataSet(()))


def auto(root: Path) -> str:
    return choose_intensity(seen(root), 1, "auto")[0].method


def test_exposures_that_differ_tenfold_are_normalised_per_image(tmp_path: Path) -> None:
    assert auto(write_discs(tmp_path, *(texture(h) for h in (20, 60, 120, 200)))) == "zscore"


def test_exposures_that_are_alike_are_standardized(tmp_path: Path) -> None:
    assert auto(write_discs(tmp_path, *(texture(h) for h in (180, 200, 220)))) == "standardize"


def test_signed_values_get_a_window(tmp_path: Path) -> None:
    hounsfield = texture(2000, np.float32) - np.float32(1000)
    assert auto(write_discs(tmp_path, hounsfield, suffix="tif")) == "window"


def test_signed_integers_get_a_window_over_their_values(tmp_path: Path) -> None:
    hounsfield = (texture(2000, np.int32) - 1000).astype(np.int32)
    chosen, _ = choose_intensity(seen(write_discs(tmp_path, hounsfield, suffix="tif")), 1, "auto")
    assert chosen.method == "window"
    assert chosen.level == pytest.approx(0, abs=60)
    assert chosen.width == pytest.approx(1980, rel=0.03)


def test_floats_beyond_one_are_normalised_per_image(tmp_path: Path) -> None:
    assert auto(write_discs(tmp_path, texture(5000, np.float32), suffix="tif")) == "zscore"


def test_the_reason_is_said(tmp_path: Path) -> None:
    _, why = choose_intensity(seen(write_discs(tmp_path, *(texture(h) for h in (20, 200)))), 1, "auto")
    assert "fold from image to image" in why


@pytest.mark.parametrize("method", ["scale", "standardize", "zscore", "window"])
def test_an_asked_intensity_is_taken(tmp_path: Path, method: str) -> None:
    chosen, why = choose_intensity(seen(write_discs(tmp_path, texture(200))), 1, method)
    assert (chosen.method, why) == (method, "set by you")


def test_an_asked_window_is_taken(tmp_path: Path) -> None:
    chosen, _ = choose_intensity(seen(write_discs(tmp_path, texture(200))), 1, "window:40,400")
    assert (chosen.level, chosen.width) == (40, 400)


@pytest.mark.parametrize(
    "asked",
    [
        "mean",
        "scale:1,2",
        "window:40",
        "window:a,b",
        "window:1,2,3",
        "standardize:1",
        "standardize:0.5,0",
        "standardize:0,nan",
        "",
    ],
)
def test_a_wrong_intensity_is_refused(tmp_path: Path, asked: str) -> None:
    with pytest.raises(OptionsError, match="--intensity"):
        choose_intensity(seen(write_discs(tmp_path, texture(200))), 1, asked)


def test_standardize_holds_mean_and_spread_of_all_pixels(tmp_path: Path) -> None:
    dark, bright = np.full((40, 40), 51, np.uint8), np.full((40, 40), 153, np.uint8)  # 0.2 and 0.6
    chosen, _ = choose_intensity(seen(write_discs(tmp_path, dark, bright)), 1, "standardize")
    assert chosen.mean == pytest.approx((0.4,))
    assert chosen.std == pytest.approx((0.2,))


def test_standardize_of_grey_images_for_three_channels(tmp_path: Path) -> None:
    chosen, _ = choose_intensity(seen(write_discs(tmp_path, texture(200))), 3, "standardize")
    assert len(chosen.mean) == len(chosen.std) == 3


def test_colour_images_do_not_fit_one_channel(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    statistics = seen(write_discs(tmp_path, texture(200), colour))
    with pytest.raises(SegError, match="3 channels; expected 1"):
        choose_channels(statistics, 1)


def test_zscore_floor_is_half_of_a_small_spread(tmp_path: Path) -> None:
    """Of the usual images: one in ten may be an empty field."""
    empty = np.zeros((40, 40), np.uint8)
    statistics = seen(write_discs(tmp_path, *[texture(100)] * 11, empty))
    chosen, _ = choose_intensity(statistics, 1, "zscore")
    assert chosen.std_floor == pytest.approx(statistics.cases[0].std[0] / 2)


def test_a_constant_image_leaves_a_positive_floor(tmp_path: Path) -> None:
    assert choose_intensity(seen(write_discs(tmp_path, np.zeros((40, 40), np.uint8))), 1, "zscore")[0].std_floor > 0


def test_grey_images_have_one_channel_even_when_saved_as_opaque_rgba(tmp_path: Path) -> None:
    grey = texture(200)
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    assert choose_channels(seen(write_discs(tmp_path, grey, rgba)))[0] == 1


def test_one_colour_image_makes_it_three(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    assert choose_channels(seen(write_discs(tmp_path, texture(200), colour)))[0] == 3


def test_images_with_a_real_alpha_do_not_mix_with_grey(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 255, (40, 40, 4), np.uint8)
    with pytest.raises(DataError, match="channels"):
        choose_channels(seen(write_discs(tmp_path, texture(200), rgba)))


def weights(*counts: int, asked: str = "auto") -> tuple[float, ...]:
    case = CaseStatistics(
        "a", "", (10, 10), "uint8", 1, (0.5,), (0.1,), (0.0, 255.0), np.array(counts), 0.0, GreyValues(1.0, 0.5)
    )
    return choose_class_weights(DataStatistics([case], DataSet(())), asked)[0]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("none", (1, 1)),
        ("balance", (0.5 / 0.8, 0.5 / 0.2)),
        ("root", (0.8**-0.5 / (0.8**0.5 + 0.2**0.5), 0.2**-0.5 / (0.8**0.5 + 0.2**0.5))),
    ],
)
def test_class_weights_by_hand(asked: str, expected: tuple[float, float]) -> None:
    assert weights(800, 200, asked=asked) == pytest.approx(expected)


def test_class_weights_have_a_mean_of_one_over_the_pixels() -> None:
    w = weights(700, 250, 50)
    assert 0.7 * w[0] + 0.25 * w[1] + 0.05 * w[2] == pytest.approx(1)


def test_even_classes_are_not_weighted() -> None:
    assert weights(600, 400) == (1, 1)


def test_rare_classes_are_weighted_by_the_root() -> None:
    assert weights(9900, 100) == pytest.approx(weights(9900, 100, asked="root"))
    assert weights(800, 200) == pytest.approx((1, 1))


def test_a_class_that_never_occurs_stays_finite() -> None:
    assert np.isfinite(weights(1000, 0)).all()


def test_unknown_class_weights_are_refused() -> None:
    with pytest.raises(OptionsError, match="--class-weights is even"):
        weights(1, 1, asked="even")


def test_objects_wider_than_a_window_are_fitted(tmp_path: Path) -> None:
    assert choose_geometry(seen(write_discs(tmp_path, texture(200)), 12), "auto")[0] == "fit"


def test_objects_within_a_window_are_tiled(tmp_path: Path) -> None:
    assert choose_geometry(seen(write_discs(tmp_path, texture(200)), 19), "auto")[0] == "tile"


@pytest.mark.parametrize("asked", ["tile", "fit", "stretch"])
def test_an_asked_geometry_is_taken(asked: str) -> None:
    assert choose_geometry(NOTHING, asked)[0] == asked


def test_unknown_geometry_is_refused() -> None:
    with pytest.raises(OptionsError, match="--geometry is squash"):
        choose_geometry(NOTHING, "squash")


def test_images_that_were_not_made_alike_are_varied_widely() -> None:
    assert choose_augmentation(Intensity("zscore", std_floor=0.1), "auto")[0] == "wide"
    assert choose_augmentation(Intensity("standardize", (0.5,), (0.2,)), "auto")[0] == "slight"
    assert choose_augmentation(Intensity("scale"), "auto")[0] == "wide"
    assert choose_augmentation(Intensity("scale"), "none") == ("none", "set by you")
    assert choose_augmentation(Intensity("scale"), "auto,rotation=9")[0] == "wide,rotation=9"
    assert choose_augmentation(Intensity("scale"), "slight,rotation=9") == ("slight,rotation=9", "set by you")
    with pytest.raises(OptionsError, match="--augment much"):
        choose_augmentation(Intensity("scale"), "much")


def test_windows_are_balanced_where_a_class_is_rare(tmp_path: Path) -> None:
    statistics = seen(write_discs(tmp_path, texture(200)))
    assert choose_balance(statistics, None)[0] == 0.5
    assert choose_balance(statistics, 0.2) == (0.2, "set by you")


def test_outputs_have_mean_0_and_spread_1_over_all_training_targets() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal([5, -1], [2, 0.1], (30, 20, 2)), rng.normal([9, 1], [1, 0.1], (10, 10, 2))
    outputs = choose_outputs([TargetStatistics.of(first), TargetStatistics.of(second)], ("a", "b"))
    together = np.concatenate([first.reshape(-1, 2), second.reshape(-1, 2)])
    assert [o.name for o in outputs] == ["a", "b"]
    for o, values in zip(outputs, together.T, strict=True):
        assert (o.offset, o.scale) == pytest.approx((values.mean(), values.std()))
        assert (o.low, o.high) == (values.min(), values.max())
    network = Values(contract(60, 20, stride=4, outputs=outputs)).to_network(together.astype(np.float32))
    np.testing.assert_allclose(network.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(network.std(0), 1, atol=1e-5)


def test_outputs_are_named_with_units() -> None:
    seen = [TargetStatistics.of(np.arange(8.0).reshape(2, 2, 2))]
    assert [(o.name, o.unit) for o in choose_outputs(seen, ("a", "b"), "dna=counts, height")] == [
        ("dna", "counts"), ("height", ""),
    ]  # fmt: skip
    for wrong in ("dna", "a,a", "a,=m", "a,b,c"):
        with pytest.raises(OptionsError, match="a name for each of"):
            choose_outputs(seen, ("a", "b"), wrong)
    with pytest.raises(DataError, match="the targets of b are 3 everywhere"):
        choose_outputs(
            [TargetStatistics.of(np.dstack([np.arange(4.0).reshape(2, 2), np.full((2, 2), 3.0)]))], ("a", "b")
        )
