"""Decoders for TIFF that tifffile has only with the package imagecodecs, or has without a bound on memory.

Pillow contains libtiff. A strip of LZW or ZSTD data becomes the only strip of a small TIFF file of bytes, so that
libtiff decodes it, whatever the pixels mean.
"""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .libtiff import strict

_LZW, _ZSTD = 5, 50000
_DEFLATE = (8, 32946)
_FLOAT_PREDICTOR = 3
_BEYOND = 64 << 20  # bytes after those of the pixels


def register_decoders() -> None:
    """Add the decoders to tifffile: that of deflate, which reads what imagecodecs refuses, and without imagecodecs the
    others."""
    import tifffile

    library: Any = tifffile  # its table of decoders is not public
    known: dict[int, Any] = library.TIFF.DECOMPRESSORS._codecs
    for compression in _DEFLATE:
        known[compression] = _inflate
    if importlib.util.find_spec("imagecodecs"):
        return
    for compression in (_LZW, _ZSTD):
        known.setdefault(compression, _by_libtiff(compression))
    library.TIFF.UNPREDICTORS._codecs[_FLOAT_PREDICTOR] = _unpredict_floats
    library.tifffile.imagecodecs.packints_decode = _unpack_integers


def _unpack_integers(
    data: bytes, /, dtype: Any, bitspersample: int, runlen: int = 0, *, out: Any = None
) -> NDArray[Any]:
    """Unpack big-endian integers of 1 to 16 bits; each row of `runlen` integers starts at a whole byte."""
    if bitspersample % 8 == 0:
        return np.frombuffer(data, dtype)
    stored = np.frombuffer(data, np.uint8)
    row = runlen or stored.size * 8 // bitspersample
    row_bytes = -(-row * bitspersample // 8)
    rows = stored[: stored.size // row_bytes * row_bytes].reshape(-1, row_bytes)
    bits = np.unpackbits(rows, axis=1)[:, : row * bitspersample].reshape(-1, bitspersample)
    found = bits @ (1 << np.arange(bitspersample - 1, -1, -1))
    return found.astype(dtype)


def _unpredict_floats(data: NDArray[Any], /, axis: int = -2, out: Any = None) -> NDArray[Any]:
    """Undo the predictor for floats `(…, W, S)`: the bytes of a row, most significant ones first, are differences
    (TIFF Technical Note 3)."""
    *rows, width, samples = data.shape
    size = data.dtype.itemsize
    differences = np.frombuffer(data.tobytes(), np.uint8).reshape(*rows, size * width, samples)
    sums = np.cumsum(differences, axis=-2, dtype=np.uint8)
    bytes_last = np.moveaxis(sums.reshape(*rows, size, width * samples), -2, -1)
    stored = np.ascontiguousarray(bytes_last).view(data.dtype.newbyteorder(">"))
    return stored.reshape(data.shape).astype(data.dtype)


def _inflate(data: bytes, /, out: Any = None, **_: Any) -> bytes:
    """Decompress `out` bytes, and read on to the checksum at the end, but not much further: a few bytes may inflate to
    gigabytes, and the last strip of some writers is as long as the others."""
    unpack, size = zlib.decompressobj(), int(out)
    found = unpack.decompress(data, size)
    beyond = 0
    while not unpack.eof and beyond <= _BEYOND:
        rest = unpack.unconsumed_tail
        piece = unpack.decompress(rest, 1 << 16)
        beyond += len(piece)
        if not (rest or piece):
            raise ValueError("its compressed data end too early")
    if not unpack.eof:
        raise ValueError("its compressed data are longer than its pixels")
    return found


def _by_libtiff(compression: int) -> Any:
    def decode(data: bytes, /, out: Any = None, **_: Any) -> bytes:
        size = int(out)
        with strict(), Image.open(io.BytesIO(_file_of_bytes(data, size, compression)), formats=("TIFF",)) as picture:
            return np.asarray(picture).tobytes()[:size]

    return decode


def _file_of_bytes(strip: bytes, size: int, compression: int) -> bytes:
    """Return a TIFF file of 8-bit grey whose only strip is `strip`, which decodes to at least `size` bytes."""
    tags = [
        (256, 4, size), (257, 4, 1), (258, 3, 8), (259, 3, compression), (262, 3, 1), (273, 4, 0), (277, 3, 1),
        (278, 4, 1), (279, 4, len(strip)),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, kind, value in tags:
        head += struct.pack("<HHII", tag, kind, 1, start if tag == 273 else value)
    return head + struct.pack("<I", 0) + strip
