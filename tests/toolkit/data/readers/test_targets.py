from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime.support.errors import DataError, ImageError, SegError
from seg_toolkit.data.readers import read_data_set

from tests.support.contracts import channel_files
from tests.support.folders import cases_of
from tests.support.images import put

BANDS = "targets:targets=_red+_nir,images=_red*4+_nir*4+_pan"


def ramp(height: int, width: int, dtype: type = np.uint16, start: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return (np.arange(height * width).reshape(height, width) + start).astype(dtype)


def stack(path: Path, *planes: np.ndarray) -> None:  # type: ignore[type-arg]
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = map(Image.fromarray, planes)
    first.save(path, save_all=True, append_images=others)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_targets_of_any_type_keep_their_values(tmp_path: Path, dtype: type) -> None:
    target = ramp(6, 8, dtype)
    put(tmp_path / "images" / "a.png", ramp(6, 8, np.uint8))
    put(tmp_path / "targets" / "a.tif", target)
    [case] = cases_of("targets", tmp_path, print)
    example = case.read(())
    assert example.targets is not None
    found = read_data_set("targets", tmp_path, print)
    assert (example.targets.dtype, found.truth) == (np.float32, "values")
    assert (found.outputs, found.channel_files) == (("value",), ())
    np.testing.assert_array_equal(example.targets[..., 0], target)
    assert not example.labels.any()
    assert case.values() == {}


def test_a_colour_target_is_three_outputs(tmp_path: Path) -> None:
    colour = np.dstack([ramp(6, 8, np.uint8, start) for start in (0, 50, 100)])
    put(tmp_path / "images" / "a.png", ramp(6, 8, np.uint8))
    put(tmp_path / "targets" / "a.png", colour)
    [case] = cases_of("targets", tmp_path, print)
    assert read_data_set("targets", tmp_path, print).outputs == ("value1", "value2", "value3")
    np.testing.assert_array_equal(case.read(()).targets, colour)


def test_pages_are_cases_and_files_are_outputs(tmp_path: Path) -> None:
    planes = [ramp(6, 8, start=100 * n) for n in range(3)]
    stack(tmp_path / "images" / "f.tif", *planes)
    stack(tmp_path / "targets" / "f_nuclei.tif", *(p + 1 for p in planes))
    stack(tmp_path / "targets" / "f_membrane.tif", *(p + 2 for p in planes))
    cases = cases_of("targets:_nuclei+_membrane", tmp_path, print)
    assert [c.name for c in cases] == ["f_page0", "f_page1", "f_page2"]
    assert read_data_set("targets:_nuclei+_membrane", tmp_path, print).outputs == ("nuclei", "membrane")
    for case, plane in zip(cases, planes, strict=True):
        example = case.read(())
        np.testing.assert_array_equal(example.image[..., 0], plane)
        np.testing.assert_array_equal(example.targets, np.dstack([plane + 1, plane + 2]))
    stack(tmp_path / "targets" / "f_membrane.tif", *planes[:2])
    with pytest.raises(DataError, match=r"images/f.tif 3, targets/f_nuclei.tif 3, targets/f_membrane.tif 2"):
        cases_of("targets:_nuclei+_membrane", tmp_path, print)


def scene(root: Path, size: int = 8) -> Path:
    for band in ("red", "nir"):
        put(root / "images" / f"s_{band}.tif", ramp(2, 2, start=len(band)))
        put(root / "targets" / f"s_{band}.tif", ramp(8, 8))
    put(root / "images" / "s_pan.tif", ramp(size, 8))
    return root


def test_coarse_bands_come_to_the_grid_of_the_fine_one(tmp_path: Path) -> None:
    [case] = cases_of(BANDS, scene(tmp_path), print)
    assert read_data_set(BANDS, tmp_path, print).channel_files == channel_files("_red*4", "_nir*4", "_pan")
    image = case.read(()).image
    assert (image.shape, image.dtype) == ((8, 8, 3), np.uint16)
    np.testing.assert_array_equal(image[..., 0], ramp(2, 2, start=3).repeat(4, 0).repeat(4, 1))


def test_a_band_of_another_factor_is_refused(tmp_path: Path) -> None:
    [case] = cases_of(BANDS, scene(tmp_path, size=9), print)
    with pytest.raises(ImageError, match=r"s_red.tif has 2×2 px .* 1/4 of that size"):
        case.read(())


def test_targets_of_another_size_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", ramp(6, 8, np.uint8))
    put(tmp_path / "targets" / "a.tif", ramp(6, 7))
    [case] = cases_of("targets", tmp_path, print)
    with pytest.raises(DataError, match="a has an image of 8×6 px and a target of 7×6 px"):
        case.read(())


def test_targets_of_another_number_of_channels_or_without_a_number_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        put(tmp_path / "images" / f"{name}.png", ramp(6, 8, np.uint8))
        put(tmp_path / "targets" / f"{name}.tif", ramp(6, 8, np.float32))
    put(tmp_path / "targets" / "b.tif", ramp(6, 8, np.uint8)[..., None].repeat(3, -1))
    _, second = cases_of("targets", tmp_path, print)
    with pytest.raises(DataError, match="the target of b has 3 channels; expected 1"):
        second.read(())
    bad = ramp(6, 8, np.float32)
    bad[0, 0] = np.nan
    put(tmp_path / "targets" / "b.tif", bad)
    with pytest.raises(ImageError, match="contains NaN"):
        cases_of("targets", tmp_path, print)[1].read(())


def test_what_does_not_match_is_told(tmp_path: Path) -> None:
    for part, names in (("images", "ab"), ("targets", "bc")):
        for name in names:
            put(tmp_path / part / f"{name}.tif", ramp(6, 8))
    told: list[str] = []
    assert [c.name for c in cases_of("targets", tmp_path, told.append)] == ["b"]
    assert told == ["1 image without a target, left out: a", "1 target without an image, left out: c"]


@pytest.mark.parametrize(
    "options", ["images=_a*2+_b*2", "images=_a+_a", "images=_a*0+_b", "images=_a+", "targets=_a*2+_b", "targets=_a+_a"]
)
def test_odd_endings_are_refused(tmp_path: Path, options: str) -> None:
    with pytest.raises(SegError, match=r"the reader has the endings|the reader targets has"):
        cases_of(f"targets:{options}", scene(tmp_path), print)


def test_another_layout_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.tif", ramp(6, 8))
    with pytest.raises(DataError, match="no folder targets"):
        cases_of("targets", tmp_path, print)
    put(tmp_path / "targets" / "b.tif", ramp(6, 8))
    with pytest.raises(DataError, match="has the name of a target"):
        cases_of("targets", tmp_path, print)


def test_a_page_and_a_file_of_one_name_are_refused(tmp_path: Path) -> None:
    for part in ("images", "targets"):
        stack(tmp_path / part / "f.tif", ramp(6, 8), ramp(6, 8))
        put(tmp_path / part / "f_page0.tif", ramp(6, 8))
    with pytest.raises(DataError, match="two cases have the name f_page0"):
        cases_of("targets", tmp_path, print)


def test_endings_that_differ_in_their_marks_alone_name_their_outputs(tmp_path: Path) -> None:
    put(tmp_path / "images" / "f.tif", ramp(6, 8))
    for ending in ("_a", "-a"):
        put(tmp_path / "targets" / f"f{ending}.tif", ramp(6, 8))
    assert read_data_set("targets:_a+-a", tmp_path, print).outputs == ("_a", "-a")


def test_coarse_channels_have_the_pixels_of_the_finest(tmp_path: Path) -> None:
    def write(name: str, plane: Any, side_um: float) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        resolution = (1e4 / side_um, 1e4 / side_um)
        tifffile.imwrite(tmp_path / name, plane, resolution=resolution, resolutionunit="CENTIMETER")

    for band in ("red", "nir"):
        write(f"images/a_{band}.tif", ramp(3, 4), 4.0)
        write(f"targets/a_{band}.tif", ramp(12, 16), 1.0)
    write("images/a_pan.tif", ramp(12, 16), 1.0)
    [case] = cases_of(BANDS, tmp_path, print)
    assert case.acquisition().spacing_mm == pytest.approx((1e-3, 1e-3))
    write("images/a_nir.tif", ramp(3, 4), 1.0)
    with pytest.raises(ImageError, match="expected pixels of one size"):
        case.acquisition()
    [sized] = read_data_set(f"{BANDS},pixel-size=2um", tmp_path, print).cases
    assert sized.acquisition().spacing_mm[-2:] == pytest.approx((2e-3, 2e-3))
