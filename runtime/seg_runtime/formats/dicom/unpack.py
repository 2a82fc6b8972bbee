"""Determine the decompressed size of a file before decompressing it, since a few hundred bytes can expand to
gigabytes."""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Iterator
from typing import Any

from ...support import ImageError
from .library import Dataset, pydicom

ELEMENTS_BYTES = 32 << 20  # size of all elements except the pixels; large functional groups take a few MiB
_PIXEL_BYTES = 3 * 8  # three samples of 64 bits
_JPEG_2000 = ("4.90", "4.91", "4.92", "4.93", "4.201", "4.202", "4.203")
_JPEG = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81")
_NO_FRAME_HEADER = (0xC4, 0xC8, 0xCC)  # codes between 0xC0 and 0xCF for tables, and a reserved one


class BoundedFile(io.BufferedReader):
    """A file that limits how much pydicom inflates to the size of the image.

    pydicom always inflates a deflated dataset (PS3.5, A.5) completely, and only then reads the whole rest of the file.
    This class inflates the rest itself, up to the limit, and returns it as a deflate stream without compression.
    """

    name = ""  # required by pydicom; a file in memory has no name

    def __init__(self, raw: Any, label: str, pixels: int | None) -> None:
        """Open a file.

        Args:
            raw: the file.
            label: name of the file, for errors.
            pixels: number of px of the image; None to read the elements before the pixels and cut off the rest.
        """
        super().__init__(raw)
        self._label, self._pixels = label, pixels
        self.cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes as usual, or the whole rest, inflated up to the limit.

        Raises:
            ImageError: it inflates to more than the size of the elements and the pixels.
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
        """Return the error for a file that exceeds the limit."""
        return ImageError(f"{self._label} inflates to more data than its image needs", "", "export it again")


def stream_sizes(dataset: Dataset) -> Iterator[tuple[int, int, int]]:
    """Yield width, height and samples in the header of each frame's stream; nothing for formats without such a
    header."""
    syntax = str(dataset.file_meta.TransferSyntaxUID).removeprefix("1.2.840.10008.1.2.")
    if syntax not in (*_JPEG_2000, *_JPEG):
        return
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    for stream in pydicom("encaps").generate_frames(dataset.PixelData, number_of_frames=frames):
        yield _jpeg_2000_size(stream) if syntax in _JPEG_2000 else _jpeg_size(stream)


def _jpeg_2000_size(stream: bytes) -> tuple[int, int, int]:
    found = importlib.import_module("openjpeg").get_parameters(stream)
    return int(found["columns"]), int(found["rows"]), int(found["samples_per_pixel"])


def _jpeg_size(stream: bytes) -> tuple[int, int, int]:
    """Read the size from the frame header of JPEG or JPEG-LS (ISO 10918-1, B.2.2; ISO 14495-1, C.2.2).

    Raises:
        ValueError: there is no frame header.
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
