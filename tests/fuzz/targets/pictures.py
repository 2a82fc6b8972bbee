"""Pictures that Pillow reads."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.support import SegError

from tests.fuzz.target import Seed, Target
from tests.support.images import noise_image
from tests.support.pictures import bmp565, png

MOST_PX = 1 << 18
GREY, COLOUR = noise_image(24, 20, 1)[..., 0], noise_image(24, 20)


def read_picture(data: bytes, axes: int = 2) -> None:
    """Read all pages as colours, and again as indices, which are read in another way."""
    refused = None
    for indices in (False, True):
        options = ReadOptions(axes=axes, max_pixels=MOST_PX, indices=indices)
        try:
            for page in FORMATS.of(data, "a.png").read(data, "a.png", options):
                assert page.array.ndim == axes + 1
                assert page.array.size
                assert page.array.dtype in (np.uint8, np.uint16, np.float32)
                assert page.array.dtype != np.float32 or np.isfinite(page.array).all()
        except SegError as error:
            refused = error
    if refused is not None:
        raise refused


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(turn: int) -> Image.Exif:
    found = Image.Exif()
    found[274] = turn
    found[0x9286] = "a comment"
    return found


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of their present content."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def palette(transparent: bool = False) -> Image.Image:
    image = Image.fromarray(GREY % 4).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    if transparent:
        image.info["transparency"] = 2
    return image


def _png() -> Iterator[tuple[str, bytes]]:
    alpha = np.dstack([COLOUR, GREY])
    yield "grey", saved(Image.fromarray(GREY), "PNG")
    yield "colour", saved(Image.fromarray(COLOUR), "PNG", exif=exif(6))
    yield "alpha", saved(Image.fromarray(alpha), "PNG")
    yield "palette", saved(palette(), "PNG")
    yield "transparent", saved(palette(True), "PNG", transparency=2)
    yield "bits", saved(Image.fromarray(GREY > 100), "PNG")
    yield "2 bits", saved(palette(), "PNG", bits=2)
    yield "16 bits", saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")
    for channels in (2, 3, 4):
        yield f"16 bits, {channels}", png(noise_image(9, 7, channels, dtype="uint16"))
    yield "text", saved(Image.fromarray(GREY), "PNG", icc_profile=b"no profile", dpi=(300, 300))
    frames = [Image.fromarray(GREY)]
    yield "one frame", saved(frames[0], "PNG", save_all=True, append_images=[])


def _jpeg() -> Iterator[tuple[str, bytes]]:
    colour = Image.fromarray(COLOUR)
    yield "grey", saved(Image.fromarray(GREY), "JPEG")
    yield "colour", saved(colour, "JPEG", exif=exif(8), icc_profile=b"none")
    yield "progressive", saved(colour, "JPEG", progressive=True, restart_marker_blocks=2)
    yield "whole chroma", saved(colour, "JPEG", subsampling=0, optimize=True, comment=b"words")


def _webp() -> Iterator[tuple[str, bytes]]:
    yield "lossy", saved(Image.fromarray(COLOUR), "WEBP", exif=exif(3))
    yield "lossless", saved(Image.fromarray(np.dstack([COLOUR, GREY])), "WEBP", lossless=True)


def _jpeg2000() -> Iterator[tuple[str, bytes]]:
    yield "box", saved(Image.fromarray(COLOUR), "JPEG2000")
    yield "stream", saved(Image.fromarray(GREY), "JPEG2000", no_jp2=True)
    yield "tiles", saved(Image.fromarray(COLOUR), "JPEG2000", tile_size=(16, 16), irreversible=True, num_resolutions=3)
    yield "16 bits", saved(Image.fromarray(GREY.astype(np.uint16) * 257), "JPEG2000")
    yield "alpha", saved(Image.fromarray(np.dstack([COLOUR, GREY])), "JPEG2000")


def _bmp() -> Iterator[tuple[str, bytes]]:
    yield "colour", saved(Image.fromarray(COLOUR), "BMP")
    yield "grey", saved(Image.fromarray(GREY), "BMP")
    yield "palette", saved(palette(), "BMP")
    yield "bits", saved(Image.fromarray(GREY > 100), "BMP")
    yield "565", bmp565([[1, 2], [3, 4]])
    body = bytes([3, 1, 0, 3, 1, 2, 3, 0, 0, 0, 6, 2, 0, 1])  # runs, literals, end of line and file
    head = b"BM" + (54 + 1024 + len(body)).to_bytes(4, "little") + bytes(4) + (1078).to_bytes(4, "little")
    info = [(40, 4), (6, 4), (2, 4), (1, 2), (8, 2), (1, 4), (len(body), 4), (2835, 4), (2835, 4), (0, 4), (0, 4)]
    yield "runs", head + b"".join(v.to_bytes(n, "little") for v, n in info) + bytes(range(256)) * 4 + body


def _gif() -> Iterator[tuple[str, bytes]]:
    yield "palette", saved(palette(), "GIF", comment=b"words")
    yield "transparent", saved(palette(True), "GIF", transparency=2, interlace=1)


def _netpbm() -> Iterator[tuple[str, bytes]]:
    yield "P6", saved(Image.fromarray(COLOUR), "PPM")
    yield "P5", saved(Image.fromarray(GREY), "PPM")
    yield "P4", saved(Image.fromarray(GREY > 100), "PPM")
    yield "16 bits", b"P5\n# words\n3 2\n65535\n" + bytes(range(12))
    yield "P1", b"P1\n3 2\n1 0 1\n0 1 0\n"
    yield "P2", b"P2 3 2 255 1 2 3 40 50 255\n"
    yield "P3", b"P3\n1 2\n# words\n255\n1 2 3 40 50 255\n"


def _seeds(made: Any, pack: Any = None) -> Any:
    def seeds() -> Mapping[str, Seed]:
        return {name: Seed(data, pack) if pack else Seed(data) for name, data in made()}

    return seeds


TARGETS = {
    "png": Target(read_picture, _seeds(_png, with_right_sums)),
    "jpeg": Target(read_picture, _seeds(_jpeg)),
    "gif": Target(read_picture, _seeds(_gif)),
    "webp": Target(read_picture, _seeds(_webp)),
    "jpeg2000": Target(read_picture, _seeds(_jpeg2000)),
    "bmp": Target(read_picture, _seeds(_bmp)),
    "netpbm": Target(read_picture, _seeds(_netpbm)),
}
