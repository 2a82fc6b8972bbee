"""What a compressed file would unpack to, found before it is unpacked: a few hundred bytes can claim gigabytes."""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Iterator
from typing import Any

from ...support import ImageError
from .library import Dataset, pydicom

ELEMENTS_BYTES = 32 << 20  # of all elements but the pixels; large functional groups take a few MiB
_PIXEL_BYTES = 3 * 8  # three samples of 64 bits
_JPEG_2000 = ("4.90", "4.91", "4.92", "4.93", "4.201", "4.202", "4.203")
_JPEG = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81")
_NO_FRAME_HEADER = (0xC4, 0xC8, 0xCC)  # among 0xC0 to 0xCF: tables, and a code that is reserved


class BoundedFile(io.BufferedReader):
    """A file that pydicom reads without inflating more of it than an image of its size needs.

    pydicom inflates a deflated dataset (PS3.5, A.5) whole, wherever it is told to stop. It reads its rest for that, and
    for nothing else. Here that rest comes inflated within the bound, and stored again as a deflate stream.
    """

    name = ""  # pydicom asks for it; a file in memory has none

    def __init__(self, raw: Any, label: str, pixels: int | None) -> None:
        """
        Args:
            raw: the file.
            label: what errors call it.
            pixels: px of the image; None where the elements before the pixels are enough, and the rest is cut off.
        """
        super().__init__(raw)
        self._label, self._pixels = label, pixels
        self.cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; all the rest comes inflated within the bound.

        Raises:
            ImageError: it inflates to more than elements and pixels take.
        """
        data = super().read(size)
        if size is not None and size >= 0:
            return data
        bound = ELEMENTS_BYTES + _PIXEL_BYTES * (self._pixels or 0)
        plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, bound + 1)
        self.cut = len(plain) > bound
        if self.cut and self._pixels is not None:
            raise self.too_large()
        stored = zlib.compressobj(0, zlib.DEFLATED, -zlib.MAX_WBITS)
        return stored.compress(plain) + stored.flush()

    def too_large(self) -> ImageError:
        """The refusal of a file that passes the bound."""
        return ImageError(f"{self._label} inflates to more than its image takes", "an image", "export it again")


def stream_sizes(dataset: Dataset) -> Iterator[tuple[int, int, int]]:
    """Width, height and samples that the stream of each frame claims; nothing where no stream claims any."""
    syntax = str(dataset.file_meta.TransferSyntaxUID).removeprefix("1.2.840.10008.1.2.")
    if syntax not in (*_JPEG_2000, *_JPEG):
        return
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    for stream in pydicom("encaps").generate_frames(dataset.PixelData, number_of_frames=frames):
        yield _jpeg_2000_size(stream) if syntax in _JPEG_2000 else _jpeg_size(stream)


def _jpeg_2000_size(stream: bytes) -> tuple[int, int, int]:
    told = importlib.import_module("openjpeg").get_parameters(stream)
    return int(told["columns"]), int(told["rows"]), int(told["samples_per_pixel"])


def _jpeg_size(stream: bytes) -> tuple[int, int, int]:
    """Of JPEG and JPEG-LS: from the frame header (ISO 10918-1, B.2.2; ISO 14495-1, C.2.2).

    Raises:
        ValueError: there is none.
    """
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif (0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER) or marker == 0xF7:
            height, width = (int.from_bytes(stream[i : i + 2], "big") for i in (at + 5, at + 7))
            return width, height, stream[at + 9]
        else:
            at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    raise ValueError("no frame header")
