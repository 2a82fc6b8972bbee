"""TIFF of any depth and layout, with and without imagecodecs."""

from __future__ import annotations

import io
import itertools
import json
import logging
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.formats import FORMATS, ReadOptions, opened
from seg_runtime.formats.pictures import tiff
from seg_runtime.formats.pictures.pillow import PillowPages
from seg_runtime.pipeline import Array

RNG = np.random.default_rng(7)


def written(array: Array, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def read(data: bytes, indices: bool = False) -> list[Array]:
    return [page.array for page in FORMATS.of(data, "a.tif").read(data, "a.tif", ReadOptions(indices=indices))]


def values(dtype: str, *shape: int) -> Array:
    """Smooth values over the range of a dtype, so that predictors and compressions have something to do."""
    kind = np.dtype(dtype)
    ramp = np.linspace(0, 1, int(np.prod(shape))).reshape(shape) + RNG.random(shape) / 50
    if kind.kind == "f":
        return (ramp * 3 - 1).astype(kind)
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.itemsize < 4 else (-(1 << 23), 1 << 23)
    low = max(low, 0) if kind.kind == "u" else low
    return (low + ramp / ramp.max() * (high - low)).astype(kind)


LAYOUTS = {
    "grey": ((37, 53), {"photometric": "minisblack"}),
    "rgb": ((37, 53, 3), {"photometric": "rgb"}),
    "planar": ((3, 37, 53), {"photometric": "rgb", "planarconfig": "separate"}),
    "bands": ((37, 53, 5), {"photometric": "minisblack", "planarconfig": "contig"}),
    "planar bands": ((5, 37, 53), {"photometric": "minisblack", "planarconfig": "separate"}),
}
STORAGES = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 32)},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib", "predictor": True},
    "deflate tiles": {"compression": "zlib", "tile": (16, 16), "predictor": True, "byteorder": ">"},
    "lzw": {"compression": "lzw", "predictor": True, "rowsperstrip": 7},
    "lzw tiles": {"compression": "lzw", "tile": (16, 16), "byteorder": ">"},
    "zstd": {"compression": "zstd", "predictor": True},
    "packbits": {"compression": "packbits"},
    "bigtiff": {"bigtiff": True},
}
DTYPES = ("uint8", "uint16", "int8", "int16", "int32", "float16", "float32", "float64")
MATRIX = [
    (dtype, layout, storage)
    for dtype, layout, storage in itertools.product(DTYPES, LAYOUTS, STORAGES)
    if not (dtype == "float16" and "predictor" in STORAGES[storage])
]


def written_as(dtype: str, layout: str, storage: str) -> tuple[bytes, Array]:
    """A file of the matrix, and the array `(H, W, C)` that is right."""
    shape, options = LAYOUTS[layout]
    array = values(dtype, *shape)
    right = array[..., None] if array.ndim == 2 else np.moveaxis(array, 0, -1) if "planar" in layout else array
    return written(array, metadata=None, **options, **STORAGES[storage]), right


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_value_is_that_of_the_array(dtype: str, layout: str) -> None:
    for storage in (s for d, form, s in MATRIX if (d, form) == (dtype, layout)):
        data, right = written_as(dtype, layout, storage)
        (found,) = read(data)
        assert found.dtype == (dtype if dtype in ("uint8", "uint16") else "float32"), storage
        np.testing.assert_array_equal(found, right.astype(found.dtype), storage)


CHILD = """
import json, sys
import numpy as np
sys.modules["imagecodecs"] = None
from seg_runtime import SegError
from seg_runtime.formats import FORMATS, ReadOptions
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    try:
        np.save(path + ".npy", next(FORMATS.of(data, path).read(data, path, ReadOptions())).array)
    except SegError as error:
        print(error)
"""


def without_imagecodecs(*paths: Path) -> str:
    """Read files in a process that cannot import imagecodecs; NAME.tif.npy are the arrays, and the errors come back."""
    words = [sys.executable, "-c", CHILD, *map(str, paths)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


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


def tag_file(tags: dict[int, int], strip: bytes, **more: bytes) -> bytes:
    """A little-endian TIFF of one strip with these tags."""
    entries = sorted({**tags, 273: 8 + 2 + 12 * (len(tags) + 2) + 4, 279: len(strip)}.items())
    head = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, value in entries:
        head += tag.to_bytes(2, "little") + b"\4\0" + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
    return head + b"\0\0\0\0" + strip


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


@pytest.mark.parametrize("storage", ["plain", "tiles", "deflate", "lzw tiles", "zstd", "packbits"])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(storage: str, keep: float) -> None:
    data, _ = written_as("uint16", "rgb", storage)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        ends = [o + c for o, c in zip(file.pages[0].dataoffsets, file.pages[0].databytecounts, strict=True)]
    with pytest.raises(ImageError):
        read(data[: int(max(ends) * keep)])


def test_missing_tiles_are_no_zeros() -> None:
    data = bytearray(written(values("uint8", 64, 64), tile=(16, 16), compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tag = file.pages[0].tags[325]
        data[tag.valueoffset : tag.valueoffset + 2] = b"\0\0"
    with pytest.raises(ImageError, match="1 of 16 strips or tiles are missing"):
        read(bytes(data))


def test_damage_never_gives_other_values_of_a_checked_compression(tmp_path: Path) -> None:
    """Deflate has a checksum; imagecodecs and zlib compare it."""
    data = written(values("uint8", 60, 70), compression="zlib")
    (right,) = read(data)
    paths = []
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    for place in range(start, start + count, 7):
        bent = bytearray(data)
        bent[place] ^= 1 << (place % 8)
        paths.append(tmp_path / f"{place}.tif")
        paths[-1].write_bytes(bent)
        try:
            (found,) = read(bytes(bent))
        except ImageError:
            continue
        np.testing.assert_array_equal(found, right)
    assert without_imagecodecs(*paths).count("is damaged") > len(paths) * 0.9
    for path in tmp_path.glob("*.npy"):
        np.testing.assert_array_equal(np.load(path), right)


def test_a_last_strip_as_long_as_the_others_is_read(tmp_path: Path) -> None:
    array = values("uint8", 33, 200)
    full = np.zeros((64, 200), np.uint8)
    full[:33] = array
    strip = zlib.compress(full.tobytes())
    data = tag_file({256: 200, 257: 33, 258: 8, 259: 8, 262: 1, 277: 1, 278: 64}, strip)
    np.testing.assert_array_equal(read(data)[0][..., 0], array)
    (tmp_path / "a.tif").write_bytes(data)
    assert without_imagecodecs(tmp_path / "a.tif") == ""
    np.testing.assert_array_equal(np.load(tmp_path / "a.tif.npy")[..., 0], array)


def test_the_pages_of_a_1_bit_stack_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    pages = [Image.fromarray(RNG.random((9, 12)) < 0.5) for _ in range(12)]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    opened_by: list[str] = []
    monkeypatch.setattr(
        tiff, "PillowPages", lambda *words, **more: opened_by.append("x") or PillowPages(*words, **more)
    )
    found = read(file.getvalue(), indices=True)
    assert len(opened_by) == 1
    for page, picture in zip(found, pages, strict=True):
        np.testing.assert_array_equal(page[..., 0], np.asarray(picture))


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


def test_a_small_file_of_a_big_deflate_strip_is_refused(tmp_path: Path) -> None:
    """The strip inflates to 1 GB, but the picture needs 100 bytes of it."""
    strip = zlib.compressobj(9)
    bomb = b"".join([*(strip.compress(bytes(1 << 24)) for _ in range(64)), strip.flush()])
    (tmp_path / "a.tif").write_bytes(tag_file({256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 277: 1, 278: 10}, bomb))
    peak = f"{CHILD}\nprint(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    for code in (peak, peak.replace('sys.modules["imagecodecs"] = None', "")):
        words = [sys.executable, "-c", code, str(tmp_path / "a.tif")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert int(done.stdout.split()[-1]) < 300_000  # KiB; the strip alone has 1,000,000


def test_values_in_memory_are_bounded_by_channels_and_depth() -> None:
    tags = {256: 4000, 257: 4000, 258: 64, 259: 8, 262: 1, 277: 64, 278: 4000, 339: 3}
    with pytest.raises(ImageError, match=r"16000000 px of 512 bytes, 8\.2 GB"):
        read(tag_file(tags, b"strip"))


def test_too_many_pages() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        for _ in range(3):
            out.write(np.zeros((1, 1), np.uint8), metadata=None, contiguous=False)
    data = file.getvalue()
    assert len(read(data)) == 3
    # each directory 150 bytes: the last one points to the first again
    with pytest.raises(ImageError):
        read(looping(data))


def looping(data: bytes) -> bytes:
    """The last page points to the first as its successor."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        last = file.pages[-1]
        first = file.pages[0].offset
        place = last.offset + 2 + 12 * len(last.tags)
    bent = bytearray(data)
    bent[place : place + 4] = first.to_bytes(4, "little")
    return bytes(bent)


def test_no_line_on_stderr(tmp_path: Path) -> None:
    """tifffile logs what it finds odd, such as this wrong count of an ImageJ file."""
    data = written(values("uint8", 3, 20, 20), imagej=True, metadata={"axes": "ZYX"}).replace(b"images=3", b"images=9")
    (tmp_path / "a.tif").write_bytes(data)
    code = "import sys; from seg_runtime.formats import opened; opened(open(sys.argv[1], 'rb').read(), 'a')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.tif")], capture_output=True, text=True, check=False
    )
    assert "tifffile" not in done.stderr.replace("File ", "")
    assert logging.getLogger("tifffile").handlers
    json.dumps(done.returncode)
