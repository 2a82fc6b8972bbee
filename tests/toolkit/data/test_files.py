from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.support import DataError, SegError
from seg_toolkit.data import matched, read_image, read_mask

from tests.support.images import disc, put

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
TRANSPOSED = {0x0112: 6}  # EXIF: turn by 90° clockwise to stand upright


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_image_formats_lose_nothing(tmp_path: Path, suffix: str) -> None:
    np.testing.assert_array_equal(read_image(put(tmp_path / f"a.{suffix}", COLOURS)), COLOURS)


def test_jpeg_image(tmp_path: Path) -> None:
    read = read_image(put(tmp_path / "a.jpg", np.full((8, 9, 3), 90, np.uint8)))
    np.testing.assert_allclose(read, np.full((8, 9, 3), 90), atol=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_image_keeps_its_bits(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 258], [40_000, 65_535]], np.uint16)
    read = read_image(put(tmp_path / f"a.{suffix}", values))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read[..., 0], values)


def test_rgba_image_keeps_its_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([COLOURS, COLOURS[..., 0]])
    np.testing.assert_array_equal(read_image(put(tmp_path / "a.png", rgba)), rgba)


def test_stack_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(disc())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(DataError, match="several pages"):
        read_image(tmp_path / "a.tif")


def test_stack_of_masks_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(disc())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(SegError, match="several pages"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_exif_orientation_turns_image_and_mask_alike(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.update(TRANSPOSED)
    grey = np.zeros((8, 16), np.uint8)
    grey[:, :8] = 255
    picture = Image.fromarray(grey)
    if suffix == "tif":
        picture.save(tmp_path / "a.tif", tiffinfo=TRANSPOSED)
    else:
        picture.save(tmp_path / f"a.{suffix}", exif=exif)
    upright = np.rot90(grey, -1) > 128
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}") > 128, upright)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}")[..., 0] > 128, upright)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_palette_mask_gives_indices(tmp_path: Path, suffix: str) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_mask_dtypes(tmp_path: Path, dtype: type) -> None:
    values = np.array([[0, 1], [2, 200]], dtype)
    np.testing.assert_array_equal(read_mask(put(tmp_path / "a.tif", values)), values.astype(np.int64))


def test_one_bit_mask(tmp_path: Path) -> None:
    put(tmp_path / "a.png", disc() > 0)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), disc() > 0)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_grey_mask_saved_in_colour_is_read(tmp_path: Path, channels: int) -> None:
    planes = [disc()] * min(channels, 3) if channels != 2 else [disc()]
    opaque = [np.full_like(disc(), 255)] if channels in (2, 4) else []
    np.testing.assert_array_equal(read_mask(put(tmp_path / "a.png", np.dstack(planes + opaque))), disc())


def test_colour_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is a colour image"):
        read_mask(put(tmp_path / "a.png", COLOURS))


def test_fractional_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fractional"):
        read_mask(put(tmp_path / "a.tif", np.full((3, 3), 0.5, np.float32)))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jpg"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9])
def test_damaged_mask_is_a_plain_error(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8)
    path = put(tmp_path / f"a.{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SegError, match=rf"a\.{suffix}"):
        read_mask(path)


def test_gigantic_mask_is_a_plain_error(tmp_path: Path) -> None:
    path = put(tmp_path / "a.bmp", disc())
    data = bytearray(path.read_bytes())
    data[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height in the header
    path.write_bytes(bytes(data))
    with pytest.raises(SegError, match=r"a\.bmp"):
        read_mask(path)


def test_names_that_one_part_lacks_are_reported() -> None:
    lines: list[str] = []
    images, masks = dict.fromkeys("abcdefgh"), dict.fromkeys("gha")
    found = matched(lines.append, (images, "images without a mask"), (masks, "masks without an image"))
    assert found == ["a", "g", "h"]
    assert lines == ["5 images without a mask, left out: b, c, d, e, f"]
