"""The pages of any picture file."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from ...model import MAX_PIXELS
from ..scale import Scale
from .pillow import PillowPages
from .tiff import SIGNATURES, TiffPages


class Pages(Protocol):
    """The pages of an image file, each read in constant time: `(H, W, C)` uint8, uint16 or float32. Not thread-safe."""

    def __len__(self) -> int:
        """Return the number of pages."""

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Return a page `(H, W, C)`, counted from 0."""

    def close(self) -> None:
        """Free the content of the file."""

    @property
    def note(self) -> str:
        """A note about the values for the user, empty if there is none."""

    @property
    def scale(self) -> Scale:
        """The size of a pixel."""


def opened(data: bytes, name: str, max_pixels: int = MAX_PIXELS, indices: bool = False) -> Pages:
    """Find the pages of an image file, without decompressing them.

    Args:
        data: content of the file.
        name: name of the file, for errors.
        max_pixels: refuse a file with more px in all pages.
        indices: read the stored values of palette and 1-bit images, as needed for masks, instead of their colours.

    Raises:
        ImageError: the file has an unknown format, is truncated or too large, or its colour model is not grey, RGB or
            palette.
    """
    if data.startswith(SIGNATURES):
        return TiffPages(data, name, max_pixels, indices)
    return PillowPages(data, name, indices, max_pixels=max_pixels)
