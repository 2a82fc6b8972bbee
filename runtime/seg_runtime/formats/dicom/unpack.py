"""Determine the decompressed size of a file before decompressing it, since a few hundred bytes can expand to
gigabytes."""

from __future__ import annotations

import importlib
import io
import math
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from ...support import ImageError
from .library import Dataset, pydicom

ELEMENTS_BYTES = 32 << 20  # size of all elements except the pixels; large functional groups take a few MiB
MOST_READS = 600_000  # of pydicom from one file, about two for each element; 5000 frames with functional groups
MOST_ITEMS = 200_000  # of all sequences; pydicom takes 1.4 kB for an item of 8 bytes
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # tag in little-endian and big-endian order
_DEFLATED, _PLAIN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"  # transfer syntaxes (PS3.5, A.5 and A.2)
_AT_ONCE = 1 << 14, 1 << 20  # bytes of a deflated file, and inflated
_JPEG_2000 = ("4.90", "4.91", "4.92", "4.93", "4.201", "4.202", "4.203")
_JPEG = ("4.50", "4.51", "4.57", "4.70", "4.80", "4.81")
_NO_FRAME_HEADER = (0xC4, 0xC8, 0xCC)  # codes between 0xC0 and 0xCF for tables, and a reserved one
_RLE = "5"
_RLE_SMALL = 1 << 20  # bytes of an RLE frame; it expands at most 64 times


class DeflatedError(Exception):
    """pydicom is about to inflate the rest of a file, without a limit."""


class BoundedFile(io.BufferedReader):
    """A file that pydicom reads element by element, and never inflates."""

    name = ""  # required by pydicom; a file in memory has no name

    def __init__(self, raw: Any, label: str) -> None:
        """Open a file.

        Args:
            raw: the file.
            label: name of the file, for errors.
        """
        super().__init__(raw)
        self._label, self._reads = label, 0
        self._length = self.seek(0, io.SEEK_END)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read `size` bytes.

        Raises:
            ImageError: the file has too many elements.
            DeflatedError: pydicom asks for the whole rest, which it only does to inflate it.
        """
        self._reads += 1
        if self._reads > MOST_READS:
            raise too_many(self._label)
        if size is None or size < 0:
            raise DeflatedError
        if size > io.DEFAULT_BUFFER_SIZE:  # a length from the file, for which the base class would reserve memory
            size = min(size, self._length - self.tell())
        return super().read(size)


def inflated(file: BinaryIO, most: int) -> tuple[io.BytesIO, bool]:
    """Inflate a file whose dataset begins at the present position.

    Args:
        file: the file.
        most: inflate no more bytes of the dataset.

    Returns:
        The same file without compression, and whether it was cut off.
    """
    start = file.tell()
    file.seek(0)
    out = io.BytesIO()
    out.write(io.BufferedReader.read(file, start).replace(_DEFLATED, _PLAIN, 1))  # type: ignore[arg-type]
    inflater, cut = zlib.decompressobj(-zlib.MAX_WBITS), False
    while not (inflater.eof or cut):
        if not (block := inflater.unconsumed_tail or io.BufferedReader.read(file, _AT_ONCE[0])):  # type: ignore[arg-type]
            break
        out.write(inflater.decompress(block, _AT_ONCE[1]))
        cut = out.tell() > start + most
    out.seek(0)
    return out, cut


def too_large(name: str) -> ImageError:
    """Return the error for a file that exceeds the limit of `inflated`."""
    return ImageError(f"{name} inflates to more data than its image needs", "", "export it again")


def too_many(name: str) -> ImageError:
    """Return the error for a file whose elements would take minutes and gigabytes to parse."""
    expected = f"at most {MOST_READS // 2} elements and {MOST_ITEMS} items in sequences"
    return ImageError(f"{name} has too many elements", expected, "export it with fewer frames")


def check_items(dataset: Dataset, name: str) -> None:
    """Check the number of items in sequences that pydicom has not parsed yet, since it parses them at first access.

    Raises:
        ImageError: there are too many.
    """
    values = (element.value for element in dataset.values() if element.tag.group != 0x7FE0)
    if sum(value.count(tag) for value in values if isinstance(value, bytes) for tag in _ITEMS) > MOST_ITEMS:
        raise too_many(name)


def stream_sizes(dataset: Dataset) -> Iterator[tuple[int, int, int]]:
    """Yield width, height and samples in the header of each frame's stream; nothing for formats without such a header.

    Raises:
        ValueError: a stream has no such header, or is RLE that expands to more than its frame needs.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID).removeprefix("1.2.840.10008.1.2.")
    if syntax not in (*_JPEG_2000, *_JPEG, _RLE):
        return
    size = int(dataset.Columns), int(dataset.Rows), int(dataset.SamplesPerPixel)
    frames = max(1, int(dataset.get("NumberOfFrames") or 1))
    for stream in pydicom("encaps").generate_frames(dataset.PixelData, number_of_frames=frames):
        if syntax == _RLE:
            _check_rle(stream, 2 * math.prod(size) * (int(dataset.BitsAllocated) // 8))
            yield size
        elif syntax in _JPEG_2000:
            yield _jpeg_2000_size(stream)
        else:
            if b"\xff\xd9" not in stream[-64:]:  # the end, before padding; decoders make up what is missing
                raise ValueError("the stream has no end")
            yield _jpeg_size(stream)


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


def _check_rle(stream: bytes, most: int) -> None:
    """Add up the runs of a large RLE stream (PS3.5, G.3) and raise ValueError if it expands to more than `most` bytes."""
    at, total = 64, 0  # behind the header
    while len(stream) > _RLE_SMALL and at < len(stream):
        code = stream[at]
        at += 2 if code > 128 else code + 2 if code < 128 else 1
        total += 257 - code if code > 128 else code + 1 if code < 128 else 0
        if total > most:
            raise ValueError("too many runs")
