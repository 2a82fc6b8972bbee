"""What libtiff, inside Pillow, says about damage becomes an error of ours and never a line of its own."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.formats.pictures import codecs

from tests.support.images import noise_image
from tests.support.reading import decode

BITS = Image.fromarray(noise_image(40, 60, 1)[..., 0] > 100)
COLOUR = Image.fromarray(noise_image(40, 60))


def tiff(image: Image.Image, compression: str) -> bytes:
    file = io.BytesIO()
    image.save(file, "TIFF", compression=compression)
    return file.getvalue()


def spoiled(data: bytes, compression: str) -> bytes:
    """The file with wrong codes in the middle of its pixels, or, in JPEG, an unknown marker."""
    with Image.open(io.BytesIO(data)) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]
    at, wrong = start + size // 2, b"\xff\x01\xff\x71" if compression == "jpeg" else b"\xff" * 12
    return data[:at] + wrong + data[at + len(wrong) :]


@pytest.mark.parametrize("compression", ["group4", "jpeg"])
def test_wrong_data_are_refused_and_nothing_is_printed(compression: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = tiff(COLOUR if compression == "jpeg" else BITS, compression)
    assert next(decode(data, "a.tif")).shape[:2] == (40, 60)
    with pytest.raises(ImageError, match=r"a\.tif is damaged"):
        next(decode(spoiled(data, compression), "a.tif"))
    assert capfd.readouterr() == ("", "")


def test_the_limit_that_the_user_sets_holds_for_jpeg_in_tiff() -> None:
    image = Image.new("L", (14_000, 13_000))  # above the default limit
    (page,) = decode(tiff(image, "jpeg"), "a.tif", 200_000_000)
    assert page.shape == (13_000, 14_000, 1)


@pytest.mark.parametrize("compression", [5, 50000])
def test_decoders_without_imagecodecs_print_nothing(compression: int, capfd: pytest.CaptureFixture[str]) -> None:
    decoder = codecs._by_libtiff(compression)
    with pytest.raises((ValueError, OSError)):
        decoder(b"\x80\x0b\xff\xff" * 9, out=100)
    assert capfd.readouterr() == ("", "")


def test_each_thread_sees_the_damage_of_its_own_file() -> None:
    good = tiff(BITS, "group4")
    bad = spoiled(good, "group4")

    def outcome(data: bytes) -> bool:
        try:
            return bool((next(decode(data, "a.tif"))[..., 0] == np.asarray(BITS) * 255).all())
        except ImageError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(outcome, [good, bad] * 100)) == [True, False] * 100
