"""TIFF files of many layouts, and how they are read with and without imagecodecs."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.pipeline import Array

RNG = np.random.default_rng(7)


def written(array: Array, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def read(data: bytes, indices: bool = False) -> list[Array]:
    return [page.array for page in FORMATS.of(data, "a.tif").read(data, "a.tif", ReadOptions(indices=indices))]


def values(dtype: str, *shape: int) -> Array:
    """Smooth values over the range of a dtype, so that predictors and compressions have something to do."""
    kind = np.dtype(dtype)
    ramp = np.linspace(0, 1, int(np.prod(shape))).reshape(shape) + RNG.random(shape) / 50
    if kind.kind == "f":
        return (ramp * 3 - 1).astype(kind)
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.itemsize < 4 else (-(1 << 23), 1 << 23)
    low = max(low, 0) if kind.kind == "u" else low
    return (low + ramp / ramp.max() * (high - low)).astype(kind)


LAYOUTS = {
    "grey": ((37, 53), {"photometric": "minisblack"}),
    "rgb": ((37, 53, 3), {"photometric": "rgb"}),
    "planar": ((3, 37, 53), {"photometric": "rgb", "planarconfig": "separate"}),
    "bands": ((37, 53, 5), {"photometric": "minisblack", "planarconfig": "contig"}),
    "planar bands": ((5, 37, 53), {"photometric": "minisblack", "planarconfig": "separate"}),
}
STORAGES = {
    "plain": {},
    "big-endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 32)},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib", "predictor": True},
    "deflate tiles": {"compression": "zlib", "tile": (16, 16), "predictor": True, "byteorder": ">"},
    "lzw": {"compression": "lzw", "predictor": True, "rowsperstrip": 7},
    "lzw tiles": {"compression": "lzw", "tile": (16, 16), "byteorder": ">"},
    "zstd": {"compression": "zstd", "predictor": True},
    "packbits": {"compression": "packbits"},
    "bigtiff": {"bigtiff": True},
}
DTYPES = ("uint8", "uint16", "int8", "int16", "int32", "float16", "float32", "float64")
MATRIX = [
    (dtype, layout, storage)
    for dtype, layout, storage in itertools.product(DTYPES, LAYOUTS, STORAGES)
    if not (dtype == "float16" and "predictor" in STORAGES[storage])
]


def written_as(dtype: str, layout: str, storage: str) -> tuple[bytes, Array]:
    """A file of the matrix, and the array `(H, W, C)` that is right."""
    shape, options = LAYOUTS[layout]
    array = values(dtype, *shape)
    right = array[..., None] if array.ndim == 2 else np.moveaxis(array, 0, -1) if "planar" in layout else array
    return written(array, metadata=None, **options, **STORAGES[storage]), right


CHILD = """
import json, sys
import numpy as np
sys.modules["imagecodecs"] = None
from seg_runtime import SegError
from seg_runtime.formats import FORMATS, ReadOptions
for path in sys.argv[1:]:
    data = open(path, "rb").read()
    try:
        np.save(path + ".npy", next(FORMATS.of(data, path).read(data, path, ReadOptions())).array)
    except SegError as error:
        print(error)
"""


def without_imagecodecs(*paths: Path) -> str:
    """Read files in a process that cannot import imagecodecs; NAME.tif.npy are the arrays, and the errors come back."""
    words = [sys.executable, "-c", CHILD, *map(str, paths)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def tag_file(tags: dict[int, int], strip: bytes, **more: bytes) -> bytes:
    """A little-endian TIFF of one strip with these tags."""
    entries = sorted({**tags, 273: 8 + 2 + 12 * (len(tags) + 2) + 4, 279: len(strip)}.items())
    head = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, value in entries:
        head += tag.to_bytes(2, "little") + b"\4\0" + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
    return head + b"\0\0\0\0" + strip
