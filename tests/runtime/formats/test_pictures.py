from __future__ import annotations

import importlib
import io
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence
from seg_runtime import Array, ClassInfo, ImageError
from seg_runtime.formats import FORMATS, Source, read_bytes
from seg_runtime.pipeline.fit import fit_channels

from tests.support.commands import in_a_fresh_process
from tests.support.contracts import contract
from tests.support.pictures import bmp565, encoded, every_value, png, png_chunk, png_header_only, tiff
from tests.support.reading import decode, one


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_read_to_the_last_bit(channels: int, dtype: str) -> None:
    array = every_value(channels, dtype)
    read = one(png(array))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, array)


def test_grey_with_alpha_keeps_both() -> None:
    array = every_value(2, "uint8")
    np.testing.assert_array_equal(one(png(array)), array)


def test_16_bit_grey_with_alpha_is_not_cut_to_8() -> None:
    array = every_value(2, "uint16")
    assert (one(png(array)) == array).all()
    array[..., 1] = 65535
    assert (one(png(array)) == array[..., :1]).all()


def test_a_gif_that_ends_after_its_first_frame_is_refused_in_a_line() -> None:
    frames = [Image.new("L", (4, 4), grey) for grey in (0, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    second = data.rfind(b"\x21\xf9") + 9  # behind its timing
    for end in range(second, len(data)):
        with pytest.raises(ImageError):
            one(data[:end])


LARGE = """
import json, sys
from pathlib import Path
from seg_runtime import ImageError
from seg_runtime.formats import opened
try:
    problem = opened(Path(sys.argv[1]).read_bytes(), "a.gif") and ""
except ImageError as error:
    problem = str(error)
print(json.dumps([problem, Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]]))
"""


def test_a_gif_of_a_few_bytes_takes_no_memory_for_a_large_frame(tmp_path: Path) -> None:
    data = encoded(Image.new("L", (4, 4)), "GIF")
    at = data.index(b",")
    side = (20_000).to_bytes(2, "little")
    clears = b"\x21\xf9\x04\x08\0\0\0\0"  # the frame is replaced by the background, for which Pillow makes room
    large = data[:6] + side * 2 + data[10:at] + clears + data[at : at + 5] + side * 2 + data[at + 9 :]
    (tmp_path / "a.gif").write_bytes(large)
    problem, peak_kib = in_a_fresh_process(LARGE, tmp_path / "a.gif")
    assert "a.gif has 400000000 px; expected at most 178956970" in problem
    assert int(peak_kib) < 200_000  # KiB; the frame alone has 400,000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_is_read_to_the_last_bit(channels: int, dtype: str, order: str) -> None:
    array = every_value(channels, dtype)
    read = one(tiff([array], order))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_16_bit_grey_tiff(compression: str) -> None:
    array = every_value(1, "uint16")
    np.testing.assert_array_equal(one(encoded(Image.fromarray(array[..., 0]), "TIFF", compression=compression)), array)


def test_float_tiff_keeps_its_values() -> None:
    array = np.array([[-1000.5, 0, 3e6]], np.float32)
    np.testing.assert_array_equal(one(encoded(Image.fromarray(array), "TIFF"))[..., 0], array)


def test_bmp_of_24_bits() -> None:
    array = every_value(3, "uint8")
    np.testing.assert_array_equal(one(encoded(Image.fromarray(array), "BMP")), array)


def test_bmp_of_16_bits_has_fewer_than_8_per_channel() -> None:
    colours = one(bmp565([[0xF800, 0x07E0], [0x001F, 0xFFFF]]))
    assert colours.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]


def test_jpeg_is_read_as_rgb() -> None:
    read = one(encoded(Image.new("RGB", (16, 8), (200, 100, 50)), "JPEG", quality=95))
    assert read.shape == (8, 16, 3)
    assert np.abs(read.astype(int) - [200, 100, 50]).max() <= 3


def palette_picture(**options: Any) -> bytes:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    return encoded(picture, **options)


def test_a_palette_is_looked_up() -> None:
    assert one(palette_picture()).tolist() == [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]


def test_a_transparent_palette_entry_shows_in_alpha() -> None:
    assert one(palette_picture(transparency=1))[..., 3].tolist() == [[255, 0], [255, 0]]


def test_1_bit_becomes_0_and_255() -> None:
    assert one(encoded(Image.fromarray(np.array([[True, False]])))).ravel().tolist() == [255, 0]


def test_4_bit_grey_spans_the_range() -> None:
    data = bytearray(png(np.array([[[0x0F]]], np.uint8)))
    head = png_chunk(b"IHDR", b"\0\0\0\2\0\0\0\1\4\0\0\0\0")  # two pixels of 4 bits: 0 and 15
    data[8 : 8 + len(head)] = head
    assert one(bytes(data)).ravel().tolist() == [0, 255]


@pytest.mark.parametrize("transparent", [{"array": (9, 9, 9)}, {"array": 9}])
def test_a_transparent_colour_is_not_lost(transparent: dict[str, Any]) -> None:
    key = transparent["array"]
    shape = (2, 2, 3) if isinstance(key, tuple) else (2, 2)
    data = encoded(Image.fromarray(np.full(shape, 9, np.uint8)), transparency=key)
    with pytest.raises(ImageError, match="transparent"):
        fit_channels(one(data), 3)


def test_cmyk_is_refused_with_what_to_do() -> None:
    with pytest.raises(ImageError, match=r"CMYK.*Convert it to RGB"):
        one(encoded(Image.new("CMYK", (4, 4)), "JPEG"))


def test_a_grey_palette_is_a_grey_image() -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([10, 10, 10, 40, 40, 40, 70, 70, 70])
    assert one(encoded(picture))[..., 0].tolist() == [[10, 40], [70, 40]]


def test_values_in_memory_are_bounded_not_only_pixels() -> None:
    """16-bit colour takes three times the memory of grey."""
    head = struct.pack(">IIBBBBB", 12_000, 12_000, 16, 2, 0, 0, 0)
    idat = png_chunk(b"IDAT", zlib.compress(b"\0"))
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + idat + png_chunk(b"IEND", b"")
    with pytest.raises(ImageError, match=r"144000000 px of 8 bytes, 1\.2 GB; expected at most 0\.7 GB"):
        one(data)


def test_a_jpeg_with_hundreds_of_scans_is_refused() -> None:
    data = encoded(Image.new("RGB", (64, 64), (9, 99, 199)), "JPEG", progressive=True)
    assert one(data).shape == (64, 64, 3)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="scans; expected at most 100"):
        one(data[:last] + data[last:-2] * 200 + data[-2:])


UPRIGHT = [[1, 2, 3], [4, 5, 6]]
STORED = {  # how a camera that is held so stores the upright picture
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[3, 6], [2, 5], [1, 4]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[4, 1], [5, 2], [6, 3]],
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_orientation(orientation: int, dtype: str, channels: int) -> None:
    unit = 40 if dtype == "uint8" else 10001
    stored = np.repeat(np.array(STORED[orientation], dtype)[..., None] * np.array(unit, dtype), channels, axis=-1)
    tags = png_chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    assert (one(png(stored, tags))[..., -1] // unit).tolist() == UPRIGHT


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_orientation(orientation: int, dtype: str, channels: int) -> None:
    unit = 40 if dtype == "uint8" else 10001
    stored = np.repeat(np.array(STORED[orientation], dtype)[..., None] * np.array(unit, dtype), channels, axis=-1)
    assert (one(tiff([stored], orientation=orientation))[..., -1] // unit).tolist() == UPRIGHT


@pytest.mark.parametrize("orientation", STORED)
def test_jpeg_orientation(orientation: int) -> None:
    blocks = np.kron(np.array(STORED[orientation], np.uint8) * 40, np.ones((16, 16), np.uint8))
    read = one(encoded(Image.fromarray(blocks), "JPEG", quality=95, exif=exif(orientation)))
    assert np.rint(read[8::16, 8::16, 0] / 40).tolist() == UPRIGHT


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pages_of_a_stack_in_order(channels: int, dtype: str) -> None:
    stack = [every_value(channels, dtype)[: 2 + i] + np.array(i, dtype) for i in range(3)]
    read = list(decode(tiff(stack), "stack.tif"))
    assert len(read) == 3
    for page, wanted in zip(read, stack, strict=True):
        np.testing.assert_array_equal(page, wanted)


KINDS = [
    ("PNG", {}), ("JPEG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("GIF", {}),
    ("WEBP", {"lossless": True}), ("JPEG2000", {}), ("PPM", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_truncated_file_is_damaged_wherever_it_is_cut(kind: str, options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(every_value(3, "uint8").repeat(9, 0)), kind, **options)
    for share in (0.1, 0.3, 0.5, 0.7):
        with pytest.raises(ImageError):
            list(decode(data[: int(len(data) * share)], "cut"))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_flipped_bytes_raise_nothing_but_image_errors(kind: str, options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(every_value(3, "uint8")), kind, **options)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        spoiled = bytearray(data)
        for _ in range(3):
            spoiled[rng.integers(0, len(data))] = rng.integers(0, 256)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                list(decode(bytes(spoiled), "spoiled", 10**6))
        except ImageError:
            refused += 1
    assert refused > 10


def test_a_damaged_second_page_names_itself() -> None:
    data = tiff([every_value(1, "uint8"), every_value(1, "uint8")])
    pages = decode(data[:-20], "stack.tif")
    next(pages)
    with pytest.raises(ImageError, match=r"stack\.tif page 2 is truncated"):
        next(pages)


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "is empty"), (b"hello, I am text", "not a readable image"), (b"\x89PNG\r\n\x1a\n", "not a readable image")]
)  # fmt: skip
def test_what_is_no_image_is_refused_by_name(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "field.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"field.png.*{word}"):
        list(decode(read_bytes(path), str(path)))


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        read_bytes(tmp_path / "no.png")
    with pytest.raises(ImageError, match="is a folder"):
        read_bytes(tmp_path)


def test_the_size_limit_counts_pixels() -> None:
    data = png(np.zeros((10, 10, 1), np.uint8))
    assert len(list(decode(data, "x", max_pixels=100))) == 1
    with pytest.raises(ImageError, match=r"100 px.*at most 99"):
        list(decode(data, "x", max_pixels=99))


def test_the_size_limit_counts_all_pages() -> None:
    pages = decode(tiff([np.zeros((10, 10, 1), np.uint8)] * 2), "x", max_pixels=150)
    with pytest.raises(ImageError, match="200 px"):
        next(pages)


@pytest.mark.parametrize("side", [14_000, 20_000, 2_000_000])
def test_a_bomb_is_refused_before_it_is_unpacked(side: int) -> None:
    with pytest.raises(ImageError, match="max-pixels"):
        list(decode(png_header_only(side, side), "bomb.png"))


def test_a_bomb_on_the_second_page_is_refused_too() -> None:
    page = np.zeros((4, 4, 1), np.uint8)
    pages = decode(tiff([page, page], claim={1: (20_000, 20_000)}), "bomb.tif")
    with pytest.raises(ImageError, match="max-pixels"):
        next(pages)


def test_a_raised_limit_lets_a_large_image_in() -> None:
    with pytest.raises(ImageError, match="damaged"):  # not "too large": it is short of pixels
        list(decode(png_header_only(20_000, 20_000), "large.png", max_pixels=500_000_000))


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    data, before, interval = png(np.zeros((4, 4, 1), np.uint8)), list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=lambda: [one(data) for _ in range(200)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert list(warnings.filters) == before
    finally:
        sys.setswitchinterval(interval)
        warnings.filters[:] = before  # type: ignore[index]


CLASSES = [ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (250, 100, 50)), ClassInfo("rim", (1, 2, 3))]


def written_mask(form: str, *planes: Array) -> tuple[str, bytes]:
    """A mask of one page or several, as seg-run writes it."""
    source = Source(Path("a.png"), Path("a"), (Path("a.png"),), FORMATS.get("picture"))
    results: Any = [SimpleNamespace(labels=plane, contract=contract(classes=CLASSES)) for plane in planes]
    suffix, write, *_ = FORMATS.get("picture").outputs("labels", source)[form].prepare(results, source)
    file = io.BytesIO()
    write(file)
    return suffix, file.getvalue()


@pytest.mark.parametrize(
    ("reader", "pages"),
    [(name, pages) for name in ("pillow", "scikit-image", "imageio", "opencv") for pages in (1, 3)] + [("tifffile", 3)],
)
def test_every_library_reads_class_indices_from_a_mask(tmp_path: Path, reader: str, pages: int) -> None:
    planes = [np.array([[0, 1, 2], [2, 0, n]], np.uint8) for n in range(pages)]
    suffix, content = written_mask("grey", *planes)
    path = tmp_path / f"mask{suffix}"
    path.write_bytes(content)
    read: dict[str, Callable[[], Any]] = {
        "pillow": lambda: [np.asarray(frame) for frame in ImageSequence.Iterator(Image.open(path))],
        "scikit-image": lambda: importlib.import_module("skimage.io").imread(path),
        "imageio": lambda: importlib.import_module("imageio.v3").imread(path),
        "opencv": lambda: importlib.import_module("cv2").imreadmulti(str(path), flags=-1)[1],
        "tifffile": lambda: tifffile.imread(path),
    }
    np.testing.assert_array_equal(np.asarray(read[reader]()).reshape(pages, 2, 3), planes)


def test_a_palette_shows_indices_in_class_colours() -> None:
    labels = np.array([[0, 1], [2, 0]], np.uint8)
    suffix, content = written_mask("palette", labels)
    assert suffix == ".png"
    with Image.open(io.BytesIO(content)) as mask:
        assert (mask.format, mask.mode) == ("PNG", "P")
        assert np.asarray(mask).tolist() == labels.tolist()
        assert np.asarray(mask.convert("RGB"))[0, 1].tolist() == [250, 100, 50]


def test_several_masks_make_a_tiff_of_palette_pages() -> None:
    pages = [np.full((3, 4), i, np.uint8) for i in range(3)]
    suffix, content = written_mask("palette", *pages)
    assert suffix == ".tif"
    with Image.open(io.BytesIO(content)) as mask:
        assert (mask.format, mask.n_frames) == ("TIFF", 3)  # type: ignore[attr-defined]
        for i in range(3):
            mask.seek(i)
            assert mask.mode == "P"
            assert np.asarray(mask).tolist() == pages[i].tolist()
            assert mask.convert("RGB").getpixel((0, 0)) == CLASSES[i].color
