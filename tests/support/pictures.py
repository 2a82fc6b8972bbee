"""Image files made byte by byte, where Pillow cannot write them or must not be its own judge."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image
from seg_runtime.pipeline import Array

PNG_COLOR_TYPES = {1: 0, 3: 2, 2: 4, 4: 6}


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file that Pillow writes."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def every_value(channels: int, dtype: str) -> Array:
    """`(5, 7, C)` values that differ in high and low byte."""
    return np.random.default_rng(3).integers(0, np.iinfo(dtype).max + 1, (5, 7, channels)).astype(dtype)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(array: Array, *extra: bytes) -> bytes:
    """A PNG of `(H, W, C)` uint8 or uint16: unfiltered rows, big endian as the format wants it."""
    height, width, channels = array.shape
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, array.itemsize * 8, PNG_COLOR_TYPES[channels], 0, 0, 0)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [png_chunk(b"IHDR", head), *extra, png_chunk(b"IDAT", zlib.compress(body)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png_header_only(width: int, height: int) -> bytes:
    """A PNG that claims a size and brings no pixels for it: a bomb's first bytes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    idat = png_chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + idat + png_chunk(b"IEND", b"")


def tiff(
    pages: list[Array], order: str = "<", orientation: int = 1, claim: dict[int, tuple[int, int]] | None = None
) -> bytes:
    """An uncompressed TIFF of `(H, W, C)` pages, uint8 or uint16, C 1 or 3, in byte order `<` or `>`.

    `claim` gives pages a (width, height) in their header that their pixels do not have.
    """  # fmt: skip
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8))
    for number, page in enumerate(pages):
        height, width, channels = page.shape
        data = page.astype(page.dtype.newbyteorder(order)).tobytes()
        shown = (claim or {}).get(number, (width, height))
        bits_at = len(out) + 2 + 10 * 12 + 4
        data_at = bits_at + 2 * channels
        tags = [
            (256, 4, 1, shown[0]), (257, 4, 1, shown[1]),
            (258, 3, channels, bits_at if channels > 2 else page.itemsize * 8),
            (259, 3, 1, 1), (262, 3, 1, 2 if channels == 3 else 1), (273, 4, 1, data_at), (274, 3, 1, orientation),
            (277, 3, 1, channels), (278, 4, 1, shown[1]), (279, 4, 1, len(data)),
        ]  # fmt: skip
        out += struct.pack(order + "H", len(tags))
        for tag, kind, count, value in tags:
            short = kind == 3 and count == 1
            out += struct.pack(order + "HHI", tag, kind, count)
            out += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
        following = data_at + len(data)
        out += struct.pack(order + "I", following if number + 1 < len(pages) else 0)
        out += struct.pack(order + "H" * channels, *[page.itemsize * 8] * channels) + data
    return bytes(out)


def bmp565(pixels: list[list[int]]) -> bytes:
    """A 16-bit BMP, 5 bits red, 6 green, 5 blue; rows of an even number of pixels, top row first."""
    height, width = len(pixels), len(pixels[0])
    data = np.array(pixels, "<u2").tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 16, 3, len(data), 2835, 2835, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    start = 14 + len(head) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + masks + data
