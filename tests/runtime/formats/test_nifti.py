"""NIfTI volumes: what the network sees, and label maps on the source's own grid."""

from __future__ import annotations

import contextlib
import gzip
import io
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes
from seg_runtime.formats import FORMATS, ReadOptions, head_of, read_bytes
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
    thin, far = bytearray(flat), bytearray(flat)
    none = bytearray(nifti(phantom(), kind=nibabel.Nifti2Image).header.as_byteswapped(">").binaryblock)
    thin[280:328] = np.array([[1e8, 1e8, 0, 0], [0, 1e-9, 0, 0], [0, 0, 1e8, 0]], "<f4").tobytes()
    far[280:328] = np.diag([1, 1, 3e38, 1]).astype("<f4")[:3].tobytes()
    none[16:24] = b"\xff" * 8  # dim[0]: number of axes
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
        "swollen.nii.gz": (gzip.compress(good + bytes(2 << 20)), "unpacks to more than"),
        "behind.nii.gz": (gzip.compress(good) + b"text", "4 bytes after its gzip data"),
        "pair.hdr": (good[:344] + b"ni1\0" + good[348:352], "header of a pair without its voxels"),
        "five.nii": (nibabel.Nifti1Image(np.ones((2, 2, 2, 1, 3), np.float32), np.eye(4)).to_bytes(), "5 axes"),
        "film.nii": (nibabel.Nifti1Image(np.ones((2, 2, 2, 65), np.float32), np.eye(4)).to_bytes(), "64 channels"),
        "flat.nii": (bytes(flat), "affine that is not invertible"),
        "thin.nii": (bytes(thin), "affine that is not invertible"),
        "far.nii": (bytes(far), "affine that is not invertible"),
        "none.nii": (bytes(none), "0 axes"),
    }  # fmt: skip


def test_voxels_of_a_few_nanometres_have_a_position() -> None:
    affine = np.diag([4e-6, 4e-6, 4e-5, 1.0])  # mm
    data = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), affine).to_bytes()
    assert read_volume(data, "a.nii")[1].spacing_mm == pytest.approx((4e-5, 4e-6, 4e-6))


@pytest.mark.parametrize("name", list(damaged()))
def test_a_wrong_file_is_refused_in_a_line(name: str) -> None:
    data, told = damaged()[name]
    with pytest.raises(ImageError, match=told):
        read_volume(data, name)


def test_every_flipped_bit_of_a_packed_file_is_refused_or_changes_no_voxel() -> None:
    seen = phantom((3, 4, 5))
    data = gzip.compress(nifti(seen, dtype="int16").to_bytes())
    refused = 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            values, _ = read_volume(bytes(flipped), "a.nii.gz")
        except ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(values, seen)
    assert refused >= 8 * (len(data) - 10)  # all but the ten bytes of the gzip header, which hold a date


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 40])
def test_a_packed_file_that_lacks_its_last_bytes_is_refused(cut: int) -> None:
    data = gzip.compress(nifti(phantom()).to_bytes())
    with pytest.raises(ImageError, match=r"a\.nii\.gz is damaged \(its gzip data end too early\)"):
        read_volume(data[:-cut], "a.nii.gz")


def test_members_and_padding_of_gzip_are_read() -> None:
    data = nifti(phantom()).to_bytes()
    parts = [gzip.compress(data[start : start + 100]) for start in range(0, len(data), 100)]
    for packed in (b"".join(parts), b"".join(parts) + gzip.compress(b"") + bytes(512)):
        np.testing.assert_array_equal(read_volume(packed, "a.nii.gz")[0], phantom())
        assert FORMATS.of(packed, "a").title == "a NIfTI volume"
    with pytest.raises(ImageError, match="is damaged"):
        read_volume(b"".join(parts[:-1]), "a.nii.gz")
    parts[-1] = parts[-1][:-8] + bytes(8)
    with pytest.raises(ImageError, match="its checksum does not match"):
        read_volume(b"".join(parts), "a.nii.gz")


@pytest.mark.parametrize("offset", [16 << 30, 2 << 30, -352, float("nan"), float("inf")])
@pytest.mark.parametrize("extended", [False, True])
def test_an_offset_in_the_header_bounds_no_memory(offset: float, extended: bool) -> None:
    data = bytearray(nifti(phantom()).to_bytes())
    data[108:112] = np.array(offset, "<f4").tobytes()
    data[348] = extended
    packed = gzip.compress(
        bytes(data[:352])
        + np.array([offset - 352 if offset > 0 and offset < 2**32 else 8, 6], "<i8").astype("<i4").tobytes()
        + bytes(64 << 20)
    )
    tracemalloc.start()
    try:
        with pytest.raises(
            ImageError, match=r"has its voxels at byte .*; expected at most 67108864|is not a NIfTI file"
        ):
            read_volume(packed, "a.nii.gz")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_extensions_are_skipped_and_not_copied_to_the_labels() -> None:
    image = nifti(phantom())
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"of a patient" * 9))
    values, grid = read_volume(image.to_bytes(), "a.nii")
    np.testing.assert_array_equal(values, phantom())
    file = io.BytesIO()
    grid.write(file, values[..., 0].astype(np.uint8))
    written = gzip.decompress(file.getvalue())
    assert b"patient" not in written
    np.testing.assert_array_equal(read_volume(written, "b.nii")[0], values.astype(np.uint8))


@pytest.mark.parametrize("behind", [(1,), (1, 1), (1, 1, 1, 1), (3,), (3, 1), (3, 1, 1)])
def test_further_axes_of_length_1_mean_nothing(behind: tuple[int, ...]) -> None:
    seen = phantom(channels=behind[0])
    voxels = stored(seen, "LPS").reshape(*SHAPE[::-1], *behind)
    values, grid = read_volume(nibabel.Nifti1Image(voxels, affine_of("LPS")).to_bytes(), "a.nii")
    np.testing.assert_array_equal(values, seen)
    file = io.BytesIO()
    grid.write(file, np.zeros(SHAPE, np.uint8))
    assert nibabel.Nifti1Image.from_bytes(gzip.decompress(file.getvalue())).shape == SHAPE[::-1]


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("packed", ["", ".gz"])
@pytest.mark.parametrize("named", [".hdr", ".img"])
def test_a_pair_of_files_is_one_volume(tmp_path: Path, kind: type, packed: str, named: str) -> None:
    nibabel.save(nifti(phantom(), "PIR", kind=kind), tmp_path / f"scan.img{packed}")
    path = tmp_path / f"scan{named}{packed}"
    assert FORMATS.of(head_of(path), path).title == "a NIfTI volume"
    data = read_bytes(path)
    values, grid = read_volume(data, str(path))
    np.testing.assert_array_equal(values, phantom())
    file = io.BytesIO()
    grid.write(file, values[..., 0].astype(np.uint8))
    np.testing.assert_array_equal(read_volume(file.getvalue(), "m.nii.gz")[0], values.astype(np.uint8))
    files = sorted(tmp_path.iterdir())
    for given in (files, [path]):
        sources, failed = FORMATS.get("nifti").sources(given, None)
        assert ([(s.path.name, str(s.stem)) for s in sources], failed) == ([(f"scan.hdr{packed}", "scan")], [])
    assert FORMATS.get("nifti").stored_channels(files[0]) == 1
    (tmp_path / f"scan.img{packed}").unlink()
    with pytest.raises(ImageError, match=r"is a header without voxels; expected scan\.img beside it"):
        read_bytes(tmp_path / f"scan.hdr{packed}")


def test_other_files_with_the_suffixes_of_a_pair_are_skipped_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "light.hdr").write_bytes(b"#?RADIANCE\n" + bytes(400))
    (tmp_path / "disk.img").write_bytes(bytes(4000))
    files = sorted(tmp_path.iterdir())
    assert FORMATS.get("nifti").sources(files, tmp_path) == ([], [])
    for path in files:
        with pytest.raises(ImageError, match="is not a NIfTI file"):
            read_volume(read_bytes(path), path.name)


@pytest.mark.parametrize("order", ORDERS)
def test_grids_at_one_place_are_the_same_in_any_order_of_their_axes(order: str) -> None:
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    image = nifti(phantom(), "RAS")
    turned = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(order))))
    one, other = (read_volume(each.to_bytes(), "a.nii") for each in (image, turned))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1].same_as(other[1])
    moved = nibabel.Nifti1Image(np.asarray(turned.dataobj), turned.affine + np.eye(4)[:, [3, 0, 1, 2]] * 0.5)
    assert not one[1].same_as(read_volume(moved.to_bytes(), "a.nii")[1])


@pytest.mark.parametrize("field", [(70, 250), (76, 7), (252, 99), (254, 99), (108, 1), (344, 27)])
def test_nibabel_says_nothing_beside_our_error(field: tuple[int, int], caplog: pytest.LogCaptureFixture) -> None:
    place, value = field
    data = bytearray(nifti(phantom()).to_bytes())
    data[place] = value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(ImageError):
            read_volume(bytes(data), "a.nii")
    assert not caught
    assert not caplog.records


def test_size_is_judged_before_anything_is_unpacked() -> None:
    head = nifti(phantom()).to_bytes()[:352]
    claim = bytearray(head)
    claim[42:48] = np.array([2000, 2000, 2000], "<i2").tobytes()  # dim[1..3]
    with pytest.raises(ImageError, match="8000000000 voxels; expected at most"):
        read_volume(bytes(claim), "bomb.nii")


def test_without_nibabel_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nibabel", None)
    monkeypatch.setattr("seg_runtime.support.imports.find_spec", lambda name: None)
    with pytest.raises(SegError, match=r"nibabel is not installed.*pip install 'seg-edge\[volume\]'"):
        read_volume(bytes(352), "a.nii")


def test_nobody_who_has_pictures_only_needs_nibabel() -> None:
    code = "import sys, seg_runtime.batch, seg_runtime.formats; sys.exit('nibabel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("side", "start", "known"), [(1.0, 0, False), (0.7, 0, True), (1.0, -120, True)])
def test_voxels_of_one_mm_are_a_measurement_only_with_a_position(
    tmp_path: Path, side: float, start: float, known: bool
) -> None:
    affine = np.diag([side, side, side, 1.0])
    affine[0, 3] = start
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine), tmp_path / "a.nii")
    found = FORMATS.of(head_of(tmp_path / "a.nii"), "a.nii").acquisition(tmp_path / "a.nii")
    assert bool(found.spacing_mm) == known
    assert found.spacing_doubt.startswith("1 mm along each axis") != known


def test_an_array_without_any_affine_has_no_size() -> None:
    data = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), None).to_bytes()
    assert next(FORMATS.of(data, "a.nii").read(data, "a.nii", ReadOptions())).acquisition.spacing_mm == ()


@pytest.mark.parametrize(("unit", "mm"), [("unknown", 1.0), ("meter", 1e3), ("mm", 1.0), ("micron", 1e-3)])
def test_the_unit_of_the_file_counts(unit: str, mm: float) -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.diag([0.25, 0.5, 0.8, 1]))
    image.header.set_xyzt_units(unit)
    data = image.to_bytes()
    page = next(FORMATS.of(data, "a.nii").read(data, "a.nii", ReadOptions()))
    assert page.acquisition.spacing_mm == page.place.spacing_mm == pytest.approx((0.8 * mm, 0.5 * mm, 0.25 * mm))
    assert page.place.stored_spacing_mm == pytest.approx((0.25 * mm, 0.5 * mm, 0.8 * mm))


def test_a_grid_is_the_same_in_any_unit_and_differs_by_a_part_of_a_voxel() -> None:
    affine = np.diag([5e-4, 5e-4, 2e-3, 1])
    grids = []
    for unit, factor, start in (("mm", 1, 0.0), ("micron", 1e3, 0.0), ("mm", 1, 1e-3)):
        moved = affine.copy()
        moved[:3] *= factor
        moved[0, 3] = start
        image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), moved)
        image.header.set_xyzt_units(unit)
        grids.append(read_volume(image.to_bytes(), "a.nii")[1])
    assert grids[0].same_as(grids[1])
    assert not grids[0].same_as(grids[2])  # by two voxels


def test_an_absurd_size_is_unknown() -> None:
    data = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.float32), np.diag([5000, 1, 1, 1])).to_bytes()
    page = next(FORMATS.of(data, "a.nii").read(data, "a.nii", ReadOptions()))
    assert page.place.spacing_mm is None
    assert page.acquisition.spacing_doubt == "a pixel of 1 mm × 1 mm × 5000 mm, which cannot be"
