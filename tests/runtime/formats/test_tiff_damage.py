"""TIFF files that are truncated, damaged or made to take memory and time."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.formats.pictures import tiff
from seg_runtime.formats.pictures.pillow import PillowPages

from tests.support.tiffs import (
    CHILD,
    RNG,
    read,
    tag_file,
    values,
    without_imagecodecs,
    written,
    written_as,
)


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


def test_pages_that_point_to_each_other_in_a_circle_are_refused() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        for _ in range(3):
            out.write(np.zeros((1, 1), np.uint8), metadata=None, contiguous=False)
    assert len(read(file.getvalue())) == 3
    with pytest.raises(ImageError):
        read(looping(file.getvalue()))


def looping(data: bytes) -> bytes:
    """The last page points to the first as its successor."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        last = file.pages[-1]
        first = file.pages[0].offset
        place = last.offset + 2 + 12 * len(last.tags)
    bent = bytearray(data)
    bent[place : place + 4] = first.to_bytes(4, "little")
    return bytes(bent)


def test_no_line_of_tifffile_on_stderr(tmp_path: Path) -> None:
    """It logs what it finds odd, such as the wrong number of images in this ImageJ file."""
    data = written(values("uint8", 3, 20, 20), imagej=True, metadata={"axes": "ZYX"}).replace(b"images=3", b"images=9")
    (tmp_path / "a.tif").write_bytes(data)
    words = [sys.executable, "-c", CHILD, str(tmp_path / "a.tif")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stderr == ""
