"""Unpack gzip files within limits: a megabyte can expand to a gigabyte, and a checksum counts only at the end."""

from __future__ import annotations

import contextlib
import io
import zlib

from ..support import ImageError

GZIP = b"\x1f\x8b"
_MEMBER = 31  # wbits of a gzip member, whose checksum and length zlib verifies
HEAD_PACKED = 1 << 16
"""Number of bytes at the beginning of a file that contain its header."""
_REASONS = {
    "incorrect data check": "its checksum does not match",
    "incorrect length check": "its length does not match",
}
_IN, _OUT = 1 << 14, 1 << 20  # bytes at a time; zlib copies what is left of its input in every call


def first_bytes(data: bytes, size: int) -> bytes:
    """Return up to `size` bytes from the beginning of a file, unpacked if it is gzip, without verifying them.

    Args:
        data: content of the file, or its first `HEAD_PACKED` bytes.
        size: number of bytes.
    """
    if not data.startswith(GZIP):
        return data[:size]
    found, rest = b"", data[:HEAD_PACKED]
    with contextlib.suppress(zlib.error):
        while len(found) < size and rest.startswith(GZIP):  # a member may be shorter, even empty
            member = zlib.decompressobj(_MEMBER)
            found += member.decompress(rest, size - len(found))
            rest = member.unused_data
    return found


def unpack(data: bytes | memoryview, name: str, most: int, wanted: str, advice: str) -> memoryview:
    """Unpack a gzip file to its end and verify the checksum and the length of every member.

    Several members, as written by bgzip, are one content (RFC 1952, 2.2). Zeros may follow the last member, as on
    tapes; other bytes may be a member with a damaged beginning, so they are refused.

    Args:
        data: content of the file.
        name: name of the file, for errors.
        most: refuse a file that unpacks to more bytes, as soon as it does.
        wanted: what was expected, for errors about damage.
        advice: what to do about a file that is too large.

    Returns:
        The content. A file that is not gzip is returned as it is, whatever its size.

    Raises:
        ImageError: the file is damaged, truncated or too large.
    """
    data = memoryview(data)
    if data[:2] != GZIP:
        return data
    out = io.BytesIO()
    place = 0
    while data[place : place + 2] == GZIP:
        place = _unpack_member(data, place, out, name, most, wanted, advice)
    if bytes(data[place:]).strip(b"\0"):
        raise _damaged(name, f"{len(data) - place} bytes after its gzip data are not gzip", wanted)
    return out.getbuffer()


def _unpack_member(
    data: memoryview, place: int, out: io.BytesIO, name: str, most: int, wanted: str, advice: str
) -> int:
    """Unpack the member at a place of the file, and return the place behind it."""
    member = zlib.decompressobj(_MEMBER)
    while not member.eof:
        if not (block := member.unconsumed_tail):
            block = bytes(data[place : place + _IN])
            place += len(block)
        if not block:
            raise _damaged(name, "its gzip data end too early", wanted)
        try:
            out.write(member.decompress(block, _OUT))
        except zlib.error as error:
            reason = str(error).rpartition(": ")[2]
            raise _damaged(name, _REASONS.get(reason, reason), wanted) from error
        if out.tell() > most:
            raise ImageError(f"{name} unpacks to more than {most} bytes", "", advice)
    return place - len(member.unused_data)


def _damaged(name: str, reason: str, wanted: str) -> ImageError:
    return ImageError(f"{name} is damaged ({reason})", wanted, "copy or export it again")
