from __future__ import annotations

import nibabel
import numpy as np
import pytest
from seg_runtime.formats import FORMATS, Place, ReadOptions
from seg_runtime.formats.nifti import read_volume
from seg_runtime.outputs import measured, summary_of
from skimage.measure import regionprops_table

from tests.support.nifti import nifti, stored
from tests.support.objectmaps import ODD, result_of

FLAT = ("perimeter", "eccentricity", "solidity", "orientation")
NAMES = (
    "label", "centroid", "bbox", "area", "equivalent_diameter_area", "intensity_mean", "intensity_min", "intensity_max",
    "intensity_std",
)  # fmt: skip


def volume() -> np.ndarray:
    ids = np.zeros((5, 8, 9), np.int32)
    ids[0:3, 1:4, 2:8] = 1
    ids[2:4, 5:7, 3:5] = 2
    ids[3, 0, 0] = 3
    return ids


def test_images_have_the_columns_of_scikit_image() -> None:
    result = result_of(ODD)
    found = result.measurements
    expected = regionprops_table(ODD, result.image, properties=(*NAMES, *FLAT))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    assert {"bbox-3", "centroid-1", "intensity_std-1", "perimeter"} <= set(found)
    assert found["area"].tolist() == [16, 1, 6, 1, 2, 14, 5, 3, 5]
    assert found["class"].tolist() == ["nucleus", "Zellwand, außen"] * 4 + ["nucleus"]
    assert found["touches_edge"].tolist() == [1, 0, 1, 1, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(found["mean_probability"], [0.5, 0.75] * 4 + [0.5])
    assert not [name for name in found if name.endswith(("um", "um2", "mm", "ml"))]


@pytest.mark.parametrize("spacing_mm", [(0.002, 0.0005), (0.001, 0.001)])
def test_physical_sizes_of_images(spacing_mm: tuple[float, float]) -> None:
    found = result_of(ODD, place=Place(spacing_mm)).measurements
    um = tuple(1000 * side for side in spacing_mm)
    names = ["area", "centroid", "equivalent_diameter_area"]
    units = {"area": "um2"}
    if um[0] == um[1]:
        names.append("perimeter")
    else:
        assert "perimeter_um" not in found  # not defined for pixels that are not square
    expected = regionprops_table(ODD, properties=names, spacing=um)
    for name, values in expected.items():
        np.testing.assert_allclose(found[f"{name}_{units.get(name, 'um')}"], values, rtol=1e-6, err_msg=name)
    assert found["area_um2"][0] == pytest.approx(16 * um[0] * um[1])


def test_volumes() -> None:
    ids, spacing_mm = volume(), (3.0, 0.5, 0.8)
    result = result_of(ids, place=Place(spacing_mm))
    found = result.measurements
    for name, values in regionprops_table(ids, result.image, properties=NAMES).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    physical = regionprops_table(ids, properties=("area", "centroid", "equivalent_diameter_area"), spacing=spacing_mm)
    np.testing.assert_allclose(found["volume_mm3"], physical.pop("area"), rtol=1e-6)
    for name, values in physical.items():
        np.testing.assert_allclose(found[f"{name}_mm"], values, rtol=1e-6, err_msg=name)
    assert found["area"].tolist() == [54, 8, 1]
    np.testing.assert_allclose(found["volume_ml"], np.array([54, 8, 1]) * 1.2 / 1000)
    assert found["touches_edge"].tolist() == [1, 0, 1]
    assert not set(FLAT) & set(found)


@pytest.mark.parametrize("order", ["RAS", "LPS", "SRA"])
def test_a_volume_is_measured_in_the_order_of_its_file(order: str) -> None:
    """So that the numbers are those of the ids in NAME_objects.nii.gz, whatever the order of the voxels."""
    ids = volume()
    image = nifti(ids[..., None].astype(np.float32), order)
    _, grid = read_volume(image.to_bytes(), "a.nii")
    found = result_of(ids, ids[..., None].astype(np.float32), grid).measurements
    of_file = stored(ids[..., None], order)
    zooms = nibabel.affines.voxel_sizes(image.affine)
    expected = regionprops_table(of_file, properties=("label", "centroid", "bbox"))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    for axis in range(3):
        np.testing.assert_allclose(found[f"centroid-{axis}_mm"], expected[f"centroid-{axis}"] * zooms[axis], rtol=1e-6)
    np.testing.assert_allclose(found["volume_mm3"], found["area"] * 0.7 * 1.1 * 3.0, rtol=1e-6)
    assert found["intensity_mean-0"].tolist() == [1, 2, 3]


def test_the_brightness_of_a_large_object_is_not_rounded_away() -> None:
    """1,000,000 px in four channels of float32, which scikit-image adds one by one in float32."""
    ids = np.ones((1000, 1000), np.int32)
    ids[0, :3] = (3, 3, 0)  # and a number that no object has
    image = np.full((*ids.shape, 4), 1000.3, np.float32)
    image[0, :2, 1] = (3.0, 7.0)
    found = measured(ids, image)
    for channel in range(4):
        assert found[f"intensity_mean-{channel}"][0] == pytest.approx(1000.3, rel=1e-6)
        assert found[f"intensity_std-{channel}"][0] == pytest.approx(0, abs=1e-6)
    small = {name: found[f"intensity_{name}-1"][1] for name in ("mean", "std", "min", "max")}
    assert small == {"mean": 5, "std": 2, "min": 3, "max": 7}


def test_no_object_is_no_row() -> None:
    found = measured(np.zeros((4, 5), np.int32), np.zeros((4, 5, 3), np.uint8), (1.0, 1.0))
    assert {len(values) for values in found.values()} == {0}
    assert {"label", "perimeter_um", "intensity_max-2", "touches_edge"} <= set(found)


def test_a_summary_adds_up() -> None:
    found = summary_of(result_of(ODD, place=Place((0.01, 0.02))))
    assert (found["objects"], found["pixels"], found["area"]) == (9, 99, 53)
    assert found["density_per_px2"] == 9 / 99
    assert found["density_per_mm2"] == pytest.approx(9 / (99 * 0.0002))
    first, second = found["classes"]
    assert (first["name"], first["objects"], first["area"], first["mean_area"]) == ("nucleus", 5, 34, 34 / 5)
    assert (second["objects"], second["area"], second["share"]) == (4, 19, 19 / 99)
    assert second["area_um2"] == pytest.approx(19 * 200)
    none = summary_of(result_of(np.zeros((3, 3), np.int32)))
    assert (none["objects"], none["density_per_px2"], none["classes"][0]["mean_area"]) == (0, 0, None)


@pytest.mark.parametrize("order", ["RAS", "SRA", "ARI"])
def test_a_given_size_of_voxels_reaches_all_measures(order: str) -> None:
    ids = volume()
    data = nifti(ids[..., None].astype(np.float32), order).to_bytes()
    page = next(FORMATS.of(data, "a.nii").read(data, "a.nii", ReadOptions(axes=3))).with_spacing((2.0, 0.5, 0.25))
    result = result_of(ids, page.array, page.place)
    found = result.measurements
    np.testing.assert_allclose(found["volume_mm3"], found["area"] * 0.25)
    sides = {"S": 2.0, "I": 2.0, "A": 0.5, "R": 0.25}
    for axis, letter in enumerate(order):
        np.testing.assert_allclose(found[f"centroid-{axis}_mm"], found[f"centroid-{axis}"] * sides[letter])
    assert summary_of(result)["density_per_mm3"] == pytest.approx(3 / (ids.size * 0.25))


def test_voxels_of_unknown_size_have_no_measures_in_mm() -> None:
    ids = volume()
    data = nibabel.Nifti1Image(ids.T.astype(np.float32), np.eye(4)).to_bytes()
    page = next(FORMATS.of(data, "a.nii").read(data, "a.nii", ReadOptions(axes=3)))
    assert page.acquisition.spacing_doubt
    result = result_of(ids, page.array, page.place)
    assert not [name for name in result.measurements if name.endswith(("mm", "mm3", "ml"))]
    assert "density_per_mm3" not in summary_of(result)
