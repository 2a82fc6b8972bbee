"""TIFF of any depth and layout, with and without imagecodecs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.formats import FORMATS, ReadOptions, opened

from tests.support.tiffs import (
    DTYPES,
    LAYOUTS,
    MATRIX,
    RNG,
    read,
    tag_file,
    values,
    without_imagecodecs,
    written,
    written_as,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_value_is_that_of_the_array(dtype: str, layout: str) -> None:
    for storage in (s for d, form, s in MATRIX if (d, form) == (dtype, layout)):
        data, right = written_as(dtype, layout, storage)
        (found,) = read(data)
        assert found.dtype == (dtype if dtype in ("uint8", "uint16") else "float32"), storage
        np.testing.assert_array_equal(found, right.astype(found.dtype), storage)


def test_the_base_reads_the_same_without_imagecodecs(tmp_path: Path) -> None:
    right = {}
    for number, (dtype, layout, storage) in enumerate(MATRIX):
        data, right[f"{number}.tif"] = written_as(dtype, layout, storage)
        (tmp_path / f"{number}.tif").write_bytes(data)
    assert without_imagecodecs(*(tmp_path / name for name in right)) == ""
    for name, array in right.items():
        found = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(found, array.astype(found.dtype), f"{name} {MATRIX[int(name[:-4])]}")


@pytest.mark.parametrize("compression", ["jpeg2000", "lerc", "webp", "jpegxl", "lzma"])
def test_other_compressions_need_the_extra(tmp_path: Path, compression: str) -> None:
    array = values("uint8", 40, 48, 3)
    options: dict[str, Any] = {"webp": {"compressionargs": {"lossless": True}}}.get(compression, {})
    (tmp_path / "a.tif").write_bytes(written(array, photometric="rgb", compression=compression, **options))
    if compression in ("webp", "jpeg2000", "lerc", "lzma"):
        np.testing.assert_array_equal(read((tmp_path / "a.tif").read_bytes())[0], array)
    told = without_imagecodecs(tmp_path / "a.tif")
    assert told == "" if compression == "lzma" else "pip install 'seg-edge[tiff]'" in told


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_in_tiff_has_the_pixels_of_the_same_jpeg(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(values("uint8", 48, 64, 3)).convert(mode)
    picture.save(tmp_path / "a.tif", compression="jpeg", quality=90)
    (found,) = read((tmp_path / "a.tif").read_bytes())
    np.testing.assert_array_equal(found.squeeze(), np.asarray(Image.open(tmp_path / "a.tif")))
    without_imagecodecs(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, np.load(tmp_path / "a.tif.npy"))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_depths(bits: int, tmp_path: Path) -> None:
    array = (values("uint16", 21, 33) >> (16 - bits)).astype(np.uint16)
    row = np.unpackbits(array.astype(">u2").view(np.uint8).reshape(21, 33, 2), axis=-1)[..., 16 - bits :]
    packed = np.packbits(row.reshape(21, -1), axis=1)
    data = tag_file({256: 33, 257: 21, 258: bits, 259: 1, 262: 1, 277: 1, 278: 21}, packed.tobytes())
    np.testing.assert_array_equal(read(data)[0][..., 0], array)
    (tmp_path / "a.tif").write_bytes(data)
    without_imagecodecs(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.load(tmp_path / "a.tif.npy")[..., 0], array)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("indices", [False, True])
def test_white_is_zero_is_inverted_at_every_depth(dtype: str, indices: bool) -> None:
    top = np.iinfo(dtype).max
    array = (top - RNG.integers(0, 200, (9, 8))).astype(dtype)
    data = written(array, photometric="miniswhite")
    np.testing.assert_array_equal(read(data, indices)[0][..., 0], (top - array).astype(np.float64))
    assert ("white as zero" in opened(data, "a.tif", indices=indices).note) == indices


@pytest.mark.parametrize("indices", [False, True])
def test_white_is_zero_in_1_bit(indices: bool) -> None:
    array = RNG.random((9, 20)) < 0.4
    found = read(written(array, photometric="miniswhite"), indices)[0][..., 0]
    np.testing.assert_array_equal(found, ~array * (1 if indices else 255))
    np.testing.assert_array_equal(
        read(written(array, photometric="minisblack"), indices)[0][..., 0], array * (1 if indices else 255)
    )


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("indices", [False, True])
def test_1_bit_of_scanners(compression: str, indices: bool, tmp_path: Path) -> None:
    array = RNG.random((40, 61)) < 0.3
    Image.fromarray(array).save(tmp_path / "a.tif", compression=compression)
    found = read((tmp_path / "a.tif").read_bytes(), indices)[0][..., 0]
    np.testing.assert_array_equal(found, array * (1 if indices else 255))
    if not indices:
        without_imagecodecs(tmp_path / "a.tif")
        np.testing.assert_array_equal(np.load(tmp_path / "a.tif.npy")[..., 0], found)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_white_is_zero_without_a_white(dtype: str) -> None:
    with pytest.raises(ImageError, match="have no white; expected black as zero"):
        read(written(values(dtype, 9, 8), photometric="miniswhite"))


def test_alpha_counts_only_where_it_is_declared() -> None:
    image = values("uint8", 20, 30, 4)
    image[..., 3] = 255
    for declared, channels in (("unspecified", 4), ("unassalpha", 3), ("assocalpha", 3)):
        (found,) = read(written(image, photometric="rgb", extrasamples=[declared]))
        np.testing.assert_array_equal(found, image[..., :channels])
    image[0, 0, 3] = 254
    assert read(written(image, photometric="rgb", extrasamples=["unassalpha"]))[0].shape[-1] == 4


STACKS = {
    "imagej slices in one page": ((3, 40, 50), {"imagej": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
    "imagej channels": ((3, 2, 40, 50), {"imagej": True, "metadata": {"axes": "TCYX"}}, "TCYX"),
    "ome channels": ((2, 40, 50), {"ome": True, "metadata": {"axes": "CYX"}}, "CYX"),
    "ome slices": ((2, 3, 40, 50), {"ome": True, "metadata": {"axes": "CZYX"}}, "CZYX"),
    "ome rgb": ((4, 40, 50, 3), {"ome": True, "photometric": "rgb", "metadata": {"axes": "ZYXS"}}, "ZYXS"),
    "tifffile": ((4, 40, 50), {"photometric": "minisblack"}, "ZYX"),
    "plain pages": ((4, 40, 50), {"photometric": "minisblack", "metadata": None}, "ZYX"),
    "volumetric": ((16, 32, 48), {"photometric": "minisblack", "tile": (16, 16, 16), "volumetric": True}, "ZYX"),
}


@pytest.mark.parametrize("name", STACKS)
def test_stacks(name: str) -> None:
    shape, options, axes = STACKS[name]
    array = values("uint16", *shape)
    last = [i for i, axis in enumerate(axes) if axis in "CS"]
    right = np.moveaxis(array, last, [-1] * len(last)) if last else array[..., None]
    right = right.reshape(-1, *right.shape[-3:])
    pages = read(written(array, **options))
    assert len(pages) == len(right)
    np.testing.assert_array_equal(np.stack(pages), right)


@pytest.mark.parametrize("nested", [True, False])
def test_overviews_are_no_pages(nested: bool) -> None:
    scene = values("uint8", 96, 128)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        out.write(scene, tile=(32, 32), **({"subifds": 2} if nested else {}))
        for step in (2, 4):
            out.write(scene[::step, ::step], tile=(32, 32), subfiletype=1)
    (page,) = read(file.getvalue())
    np.testing.assert_array_equal(page[..., 0], scene)


def test_pages_of_different_sizes_keep_their_order() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        for width in (20, 30, 20):
            out.write(np.full((10, width), width, np.uint8), metadata=None)
    assert [page.shape for page in read(file.getvalue())] == [(10, 20, 1), (10, 30, 1), (10, 20, 1)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_that_of_pillow(orientation: int) -> None:
    array = values("uint8", 7, 5, 3)
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(array).save(file, "PNG", exif=exif)
    png = file.getvalue()
    data = written(array, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    (wanted,) = [p.array for p in FORMATS.of(png, "a").read(png, "a", ReadOptions())]
    np.testing.assert_array_equal(read(data)[0], wanted)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"photometric": "separated", "planarconfig": "contig"}, "SEPARATED"),
        ({"photometric": "cielab"}, "CIELAB"),
    ],
)
def test_other_colour_models_are_refused(options: dict[str, Any], reason: str) -> None:
    array = values("uint8", 10, 12, 4 if reason == "SEPARATED" else 3)
    with pytest.raises(ImageError, match=f"{reason}; expected a grey, RGB or palette image"):
        read(written(array, **options))


def test_complex_values_are_refused() -> None:
    with pytest.raises(ImageError, match="complex64"):
        read(written(values("float32", 10, 12).astype(np.complex64)))


@pytest.mark.parametrize("indices", [False, True])
def test_a_palette(indices: bool) -> None:
    array = RNG.integers(0, 256, (10, 12)).astype(np.uint8)
    table = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    (found,) = read(written(array, photometric="palette", colormap=table), indices)
    right = array[..., None] if indices else np.moveaxis((table >> 8)[:, array], 0, -1)
    np.testing.assert_array_equal(found, right)
