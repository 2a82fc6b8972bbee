"""The layout of NIfTI files, and pairs of files: a header, `.hdr`, and its voxels, `.img`.

A pair is read as one content: the header, four zero bytes, and the content of the voxel file. Its digest is that of this
content. Pairs without the magic of NIfTI are ANALYZE files, which do not say where their voxels lie.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..support import ImageError, open_file, read_file
from .format import stem_of
from .packed import HEAD_PACKED, first_bytes

PAIR_SUFFIXES = (".hdr", ".hdr.gz", ".img", ".img.gz")
WANTED = "a NIfTI volume, .nii or .nii.gz, or .hdr with .img"
HEADER_BYTES = 544
"""Size of the longest header, with the four bytes that announce extensions."""


@dataclass(frozen=True)
class Layout:
    """The kind of a file, from the size and the magic of its header (nifti1.h, nifti2.h).

    Attributes:
        version: 1 or 2.
        size: bytes of the header.
        pair: whether the voxels are in a file of their own.
    """

    version: int
    size: int
    pair: bool


def layout(head: bytes) -> Layout | None:
    """Return the layout of a file from the beginning of its content, unpacked; None if it is not NIfTI."""
    size = {int.from_bytes(head[:4], order) for order in ("little", "big")}
    if 348 in size and head[344:347] in (b"n+1", b"ni1"):
        return Layout(1, 348, head[344:347] == b"ni1")
    if 540 in size and head[4:7] in (b"n+2", b"ni2"):
        return Layout(2, 540, head[4:7] == b"ni2")
    return None


def _is_pair(data: bytes) -> bool:
    """Return whether a content is the header of a pair."""
    found = layout(first_bytes(data, HEADER_BYTES))
    return found is not None and found.pair


def header_of_pair(path: Path) -> Path | None:
    """Return the header file of a pair, given one of its files; None if there is none or it is not NIfTI."""
    header = _beside(path, ".hdr")
    try:
        if header is None or not header.is_file():
            return None
        with os.fdopen(open_file(header), "rb") as file:
            return header if layout(first_bytes(file.read(HEAD_PACKED), HEADER_BYTES)) else None
    except OSError:
        return None


def joined(path: Path, data: bytes) -> bytes:
    """Return the content of a pair, given the content of one of its files; other content is returned as it is.

    Raises:
        ImageError: the other file is missing or cannot be read.
    """
    if path.name.lower().endswith((".img", ".img.gz")) and (header := header_of_pair(path)):
        head = first_bytes(_read(header), HEADER_BYTES)
        return _one(head, data) if _is_pair(head) else data
    if not _is_pair(data):
        return data
    voxels = _beside(path, ".img")
    if voxels is None:
        raise ImageError(f"{path} is a header without voxels", f"{stem_of(path)}.img beside it", "copy both files")
    return _one(first_bytes(data, HEADER_BYTES), _read(voxels))


def _one(head: bytes, voxels: bytes) -> bytes:
    found = layout(head)
    assert found
    return head[: found.size] + bytes(4) + voxels


def _beside(path: Path, suffix: str) -> Path | None:
    """Return the file of a pair with a suffix, packed or not, in lower or upper case."""
    stem = stem_of(path)
    names = (stem + suffix, f"{stem}{suffix}.gz", stem + suffix.upper(), f"{stem}{suffix.upper()}.GZ")
    return next((found for name in names if (found := path.with_name(name)).is_file()), None)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror})", WANTED, "check its permissions") from error
