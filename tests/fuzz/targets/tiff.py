"""TIFF files: one image in several storages, and the stacks of programs that describe their axes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import tifffile
from PIL import Image
from seg_runtime.support import SegError

from tests.fuzz.target import Seed, Target
from tests.support.images import noise_image
from tests.support.pictures import tiff as plain_tiff

from .pictures import COLOUR, GREY, palette, read_picture, saved

_WIDE = noise_image(21, 19, 1, dtype="uint16")[..., 0]


def _read(data: bytes) -> None:
    """Read all pages, and again as one volume."""
    refused = None
    for axes in (2, 3):
        try:
            read_picture(data, axes)
        except SegError as error:
            if axes == 2:
                refused = error
    if refused is not None:
        raise refused


def _written(array: Any, **options: Any) -> Seed:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return Seed(file.getvalue())


def _storages() -> Mapping[str, Seed]:
    plain: dict[str, Any] = {"metadata": None}
    floats = _WIDE.astype(np.float32) / 7
    compressed = {
        f"{kind} {array.dtype}": _written(
            array, compression=kind, predictor=kind != "packbits", rowsperstrip=6, **plain
        )
        for kind in ("zlib", "lzw", "zstd", "packbits")
        for array in ((_WIDE, floats) if kind != "packbits" else (_WIDE,))
    }
    pillow = {
        f"pillow {kind}": Seed(saved(image, "TIFF", compression=kind))
        for kind, image in (
            ("jpeg", Image.fromarray(COLOUR)), ("tiff_lzw", palette()), ("group3", Image.fromarray(GREY > 100)),
            ("group4", Image.fromarray(GREY > 100)), ("raw", Image.fromarray(GREY > 100)),
        )
    }  # fmt: skip
    return {
        "grey": _written(GREY, **plain),
        "big-endian": _written(_WIDE, byteorder=">", **plain),
        "BigTIFF": _written(GREY, bigtiff=True, **plain),
        "tiles": _written(_WIDE, tile=(16, 16), **plain),
        "colour": _written(COLOUR, photometric="rgb", rowsperstrip=7, **plain),
        "planar": _written(np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate", **plain),
        "alpha": _written(np.dstack([COLOUR, GREY]), photometric="rgb", extrasamples=["unassalpha"], **plain),
        "palette": _written(GREY, photometric="palette", colormap=np.zeros((3, 256), np.uint16), **plain),
        "white is zero": _written(GREY, photometric="miniswhite", **plain),
        "int16": _written(_WIDE.astype(np.int16), **plain),
        "4 bits": _written(GREY % 16, bitspersample=4, **plain),
        "12 bits": _written(_WIDE % 4096, bitspersample=12, **plain),
        "pages": Seed(plain_tiff([noise_image(7, 6, 3), noise_image(7, 6, 3)])),
        **compressed,
        **pillow,
    }


def _described() -> Mapping[str, Seed]:
    stack = noise_image(3 * 2 * 12, 11, 1, dtype="uint16").reshape(3, 2, 12, 11)
    return {
        "ImageJ": _written(stack, imagej=True, metadata={"axes": "ZCYX"}),
        "ImageJ, one page": _written(stack[:, 0], imagej=True, metadata={"axes": "ZYX", "spacing": 2.0, "unit": "um"}),
        "OME": _written(stack, ome=True, metadata={"axes": "ZCYX", "PhysicalSizeX": 0.1}),
        "OME, deflate": _written(stack, ome=True, compression="zlib", metadata={"axes": "TCYX"}),
        "shaped": _written(stack, metadata={"axes": "ZCYX"}),
        "pyramid": _pyramid(),
    }


def _pyramid() -> Seed:
    file = io.BytesIO()
    large = noise_image(64, 48)
    with tifffile.TiffWriter(file, ome=True) as out:
        out.write(large, subifds=1, tile=(16, 16), photometric="rgb")
        out.write(large[::2, ::2], subfiletype=1, tile=(16, 16), photometric="rgb")
    return Seed(file.getvalue())


TARGETS = {"tiff": Target(_read, _storages), "tiff-described": Target(_read, _described)}
