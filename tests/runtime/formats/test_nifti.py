"""NIfTI volumes: what the network sees, and label maps on the source's own grid."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes
from seg_runtime.formats.nifti import read_volume
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import ImageError, SegError

from tests.support.nifti import affine_of, nifti, stored

SHAPE = (7, 6, 5)  # of the network's (D, H, W)
ORDERS = ["LPS", "RAS", "PIR", "SAL", "ARI"]


def phantom(shape: tuple[int, int, int] = SHAPE, channels: int = 1) -> Array:
    """`(D, H, W, C)` float32 without any symmetry: every voxel has a value of its own."""
    return np.arange(np.prod(shape) * channels, dtype=np.float32).reshape(*shape, channels) - 40


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_sees_one_order_whatever_the_files(order: str, channels: int) -> None:
    seen = phantom(channels=channels)
    image = nifti(seen, order)
    assert "".join(aff2axcodes(image.affine)) == order
    values, grid = read_volume(image.to_bytes(), "a.nii")
    np.testing.assert_array_equal(values, seen)
    np.testing.assert_array_equal(grid.stored(values[..., 0]), stored(seen[..., :1], order))


@pytest.mark.parametrize("order", ORDERS)
def test_voxel_sizes_are_along_the_axes_that_the_network_sees(order: str) -> None:
    image = nifti(phantom(), order)
    _, grid = read_volume(image.to_bytes(), "a.nii")
    right_anterior_superior = nibabel.as_closest_canonical(image).header.get_zooms()[:3]
    assert grid.spacing_mm == pytest.approx(right_anterior_superior[::-1], rel=1e-6)


def test_its_order_is_that_of_an_axial_dicom_series() -> None:
    """Slices rise to the head, rows to the back, columns to the person's left."""
    image = nifti(phantom(), "SAL")
    values, _ = read_volume(image.to_bytes(), "a.nii")
    for axis, direction in ((0, (0, 0, 1)), (1, (0, -1, 0)), (2, (-1, 0, 0))):
        first, second = ([int(v == k) for v in range(3)] for k in (3, axis))
        places = [np.argwhere(np.asarray(image.dataobj) == values[tuple(p)][0])[0] for p in (first, second)]
        step = np.diff(nibabel.affines.apply_affine(image.affine, places), axis=0)[0]
        assert np.argmax(step * direction) == np.argmax(np.abs(direction))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_real_type_gives_the_same_values(dtype: str, packed: bool) -> None:
    seen = phantom() + 40
    data = nifti(seen, dtype=dtype).to_bytes()
    values, _ = read_volume(gzip.compress(data) if packed else data, "a.nii.gz")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, seen)


def test_slope_and_intercept_are_what_the_values_mean() -> None:
    image = nifti(phantom() + 40, dtype="int16")
    data = bytearray(image.to_bytes())
    data[112:120] = np.array([0.5, -1024], "<f4").tobytes()  # scl_slope, scl_inter
    values, _ = read_volume(bytes(data), "a.nii")
    np.testing.assert_array_equal(values, (phantom() + 40) / 2 - 1024)


def test_version_2_and_big_endian_are_read() -> None:
    for image in (nifti(phantom(), kind=nibabel.Nifti2Image), nifti(phantom())):
        swapped = type(image)(image.dataobj, image.affine, image.header.as_byteswapped())
        for each in (image, swapped):
            np.testing.assert_array_equal(read_volume(each.to_bytes(), "a.nii")[0], phantom())


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_labels_keep_affine_codes_zooms_and_units(order: str, kind: type) -> None:
    image = nifti(phantom(), order, "int16", kind)
    image.set_qform(affine_of(order, tilt=0.1), code=1)
    image.set_sform(affine_of(order, tilt=0.2), code=4)
    image.header.set_xyzt_units("mm", "sec")
    image.header["cal_max"] = 400
    labels = (phantom()[..., 0] > 30).astype(np.uint8)
    file = io.BytesIO()
    read_volume(image.to_bytes(), "a.nii")[1].write(file, labels)
    written = kind.from_bytes(gzip.decompress(file.getvalue()))
    assert written.get_data_dtype() == np.uint8
    assert [int(written.header[k]) for k in ("qform_code", "sform_code")] == [1, 4]
    for which in ("get_qform", "get_sform"):
        np.testing.assert_array_equal(getattr(written, which)(), getattr(image, which)())
    assert written.header.get_zooms() == image.header.get_zooms()
    assert written.header.get_xyzt_units() == ("mm", "sec")
    order_now = "".join(aff2axcodes(image.affine))
    np.testing.assert_array_equal(np.asarray(written.dataobj), stored(labels[..., None], order_now))
    again = io.BytesIO()
    read_volume(image.to_bytes(), "a.nii")[1].write(again, labels)
    assert again.getvalue() == file.getvalue()


def damaged() -> dict[str, tuple[bytes, str]]:
    """Name -> content and what the error says."""
    good = nifti(phantom()).to_bytes()
    nan = phantom()
    nan[1, 2, 3] = np.nan
    flat = bytearray(good)
    flat[254:256] = (1).to_bytes(2, "little")  # sform_code
    flat[280:328] = bytes(48)  # srow: zeros
    return {
        "short.nii": (good[:-9], "is damaged"),
        "short.nii.gz": (gzip.compress(good)[:-40], "is damaged"),
        "head.nii": (good[:200], "is not a NIfTI file"),
        "picture.nii": (b"\x89PNG\r\n\x1a\n" + bytes(400), "is not a NIfTI file"),
        "zeros.nii": (bytes(1000), "is not a NIfTI file"),
        "nan.nii": (nifti(nan).to_bytes(), "NaN"),
        "big.nii": (
            nibabel.Nifti1Image(np.full((2, 2, 2), 2**24 + 1, np.int32), np.eye(4)).to_bytes(), "float32 cannot represent"
        ),
        "complex.nii": (nibabel.Nifti1Image(np.ones((2, 2, 2), np.complex64), np.eye(4)).to_bytes(), "complex64"),
        "five.nii": (nibabel.Nifti1Image(np.ones((2, 2, 2, 1, 3), np.float32), np.eye(4)).to_bytes(), "5 axes"),
        "film.nii": (nibabel.Nifti1Image(np.ones((2, 2, 2, 65), np.float32), np.eye(4)).to_bytes(), "64 channels"),
        "flat.nii": (bytes(flat), "affine that is not invertible"),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(damaged()))
def test_a_wrong_file_is_refused_in_a_line(name: str) -> None:
    data, told = damaged()[name]
    with pytest.raises(ImageError, match=told):
        read_volume(data, name)


def test_size_is_judged_before_anything_is_unpacked() -> None:
    head = nifti(phantom()).to_bytes()[:352]
    claim = bytearray(head)
    claim[42:48] = np.array([2000, 2000, 2000], "<i2").tobytes()  # dim[1..3]
    with pytest.raises(ImageError, match="8000000000 voxels; expected at most"):
        read_volume(bytes(claim), "bomb.nii")


def test_without_nibabel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    monkeypatch.setattr("seg_runtime.support.extras.find_spec", lambda name: None)
    with pytest.raises(SegError, match=r"nibabel is not installed.*pip install 'seg-edge\[volume\]'"):
        read_volume(bytes(352), "a.nii")


def test_nobody_who_has_pictures_only_needs_nibabel() -> None:
    code = "import sys, seg_runtime.batch, seg_runtime.formats; sys.exit('nibabel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
