"""GIF, WebP, JPEG 2000, Netpbm, and animations."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from seg_runtime import ImageError
from seg_runtime.pipeline import is_grey

from tests.support.pictures import encoded, every_value
from tests.support.reading import one

LOSSLESS = {"GIF": {}, "WEBP": {"lossless": True}, "JPEG2000": {}, "PPM": {}}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_other_formats_give_the_values_that_were_saved(kind: str) -> None:
    array = np.random.default_rng(3).integers(0, 256, (20, 30), np.uint8)
    found = one(encoded(Image.fromarray(array), kind, **LOSSLESS[kind]))
    assert found.shape[-1] == (3 if kind == "WEBP" else 1)
    assert is_grey(found.repeat(4 - found.shape[-1], -1))
    np.testing.assert_array_equal(found[..., 0], array)
    if kind != "GIF":
        colours = every_value(3, "uint8")
        np.testing.assert_array_equal(one(encoded(Image.fromarray(colours), kind, **LOSSLESS[kind])), colours)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_refused(kind: str) -> None:
    frames = [Image.fromarray(every_value(1, "uint8")[..., 0]) for _ in range(3)]
    frames[1].putpixel((0, 0), 7)
    frames[2].putpixel((1, 1), 9)
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="is an animation of 3 frames"):
        one(data)


def test_16_bit_jpeg_2000_is_read_in_grey_and_refused_in_colour_or_with_12_bits() -> None:
    grey = every_value(1, "uint16")[..., 0]
    np.testing.assert_array_equal(one(encoded(Image.fromarray(grey), "JPEG2000"))[..., 0], grey)
    data = bytearray(encoded(Image.fromarray(grey), "JPEG2000"))
    data[data.index(b"\xff\x4f\xff\x51") + 42] = 11  # Ssiz: 12 bits
    with pytest.raises(ImageError, match="12 bits"):
        one(bytes(data))
    data = bytearray(encoded(Image.fromarray(every_value(3, "uint8")), "JPEG2000"))
    start = data.index(b"\xff\x4f\xff\x51") + 42
    data[start] = data[start + 3] = data[start + 6] = 15
    with pytest.raises(ImageError, match="RGB with 16 bits"):
        one(bytes(data))


@pytest.mark.parametrize(("top", "colour", "right"), [(255, True, True), (65535, False, True), (1023, False, False), (65535, True, False), (100, False, False)])  # fmt: skip
def test_netpbm_is_read_with_its_values_or_refused(top: int, colour: bool, right: bool) -> None:
    values = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 8
    values = values if colour else values[..., :1]
    stored = values.astype(">u2" if top > 255 else "u1").tobytes()
    data = b"P%d\n# a comment\n2 2\n%d\n" % (6 if colour else 5, top) + stored
    if right:
        np.testing.assert_array_equal(one(data), values)
    else:
        with pytest.raises(ImageError, match="bits"):
            one(data)
