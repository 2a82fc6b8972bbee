"""Files as arrays, by the registry of formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.model import MAX_PIXELS, Voxels


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS, indices: bool = False) -> Iterator[NDArray[Any]]:
    """The pages `(H, W, C)` of a file."""
    options = ReadOptions(max_pixels=max_pixels, indices=indices)
    return (page.array for page in FORMATS.of(data, name).read(data, name, options))


def one(data: bytes) -> NDArray[Any]:
    """The only page of a picture."""
    (page,) = decode(data, "picture")
    return page


def read_voxels(data: bytes, name: str, voxels: Voxels, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The grid `(D, H, W, C)` of a structure."""
    options = ReadOptions(axes=3, voxels=voxels, max_pixels=max_pixels)
    return next(FORMATS.get("structure").read(data, name, options)).array
