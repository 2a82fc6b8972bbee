"""Mask files: their values, and what else must be known to read them rightly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import Page, read_bytes
from seg_runtime.support import DataError, ImageError

from .classes import ClassValues, by_colour, proposed
from .files import only_page, to_integers
from .values import RGB, of_colours

_SHOWN = 12  # colours in a message
_PNG_PALETTE = 3  # colour type in the header of a PNG
ALPHA = "alpha"
"""Name of the way to read a mask from its transparency, see `Case.with_masks`."""


@dataclass(frozen=True)
class Mask:
    """A mask as its file stores it.

    Attributes:
        values: `(H, W)` int64.
        name: path for errors, with the page if the file has several.
        palette: colour of each index that occurs, if the file has a palette.
        wide: whether values are stored with more than 8 bits.
        notes: what the user should know, each with the name of the file.
        of_classes: whether values are known to be classes, because objects have a file of their own.
    """

    values: NDArray[np.int64]
    name: str
    palette: Mapping[int, RGB] = field(default_factory=dict)
    wide: bool = False
    notes: tuple[str, ...] = ()
    of_classes: bool = False


def load_mask(path: Path, *, colours: bool = False, alpha: bool = False) -> Mask:
    """Read a mask.

    Args:
        path: path of the mask.
        colours: whether values are colours, see `values.of_colours`; palettes are applied.
        alpha: whether the mask is the transparency of the image: 0 transparent, 255 opaque.

    Raises:
        DataError: if the file has several pages, values that are not integers, colours although `colours` is not set, or
            transparency with a meaning of its own although `alpha` is not set.
        ImageError: if the file cannot be read.
    """
    try:
        return _loaded(path, colours, alpha)
    except ImageError as error:  # else nobody knows whether the image or its mask is meant, if both have one name
        raise ImageError(f"the mask {error.problem}", error.expected, error.advice) from error


def _loaded(path: Path, colours: bool, alpha: bool) -> Mask:
    data = read_bytes(path)
    if alpha:
        return _of_transparency(only_page(data, path, indices=False), path)
    page = only_page(data, path, indices=not colours)
    palette = {} if colours or not _may_have_palette(data) else _palette(page, only_page(data, path, indices=False))
    pixels, notes = _opaque(page.array, path), tuple([page.note] if page.note else [])
    wide = pixels.dtype.itemsize > 1
    if colours:
        return Mask(of_colours(_rgb(pixels, path)), str(path), notes=notes)
    if (pixels != pixels[..., :1]).any():
        raise _coloured(pixels, path)
    return Mask(to_integers(pixels[..., 0], path), str(path), palette, wide, notes)


def read_mask(path: Path, classes: Sequence[ClassValues] = (), alpha: bool = False) -> NDArray[np.int64]:
    """Read the values `(H, W)` int64 of a mask, which are colours if those of the classes are. See `load_mask`."""
    return load_mask(path, colours=by_colour(classes), alpha=alpha).values


def _may_have_palette(data: bytes) -> bool:
    """Return whether a file may have a palette: a PNG says so in its header, JPEG and Netpbm never have one."""
    if data.startswith(b"\x89PNG"):
        return data[25] == _PNG_PALETTE
    return data.startswith((b"GIF8", b"BM", b"II", b"MM"))


def _palette(stored: Page, seen: Page) -> dict[int, RGB]:
    """Colours of the indices that occur; empty if the file has no palette."""
    indices, colours = stored.array[..., 0], seen.array
    if stored.array.shape[-1] > 1 or colours.dtype != np.uint8 or np.array_equal(stored.array, colours):
        return {}
    rgb = colours[..., :3] if colours.shape[-1] >= 3 else colours[..., [0, 0, 0]]
    found, first = np.unique(indices, return_index=True)
    of_index = rgb.reshape(-1, 3)[first].tolist()
    return {int(i): (red, green, blue) for i, (red, green, blue) in zip(found, of_index, strict=True)}


def _opaque(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Remove transparency that says nothing but what the colours say.

    Raises:
        DataError: if pixels differ in transparency but not in colour.
    """
    if array.shape[-1] not in (2, 4):
        return array
    colours, alpha = array[..., :-1], array[..., -1]
    solid = alpha > (int(np.iinfo(array.dtype).max) if array.dtype.kind == "u" else 1) / 2
    black = (colours == 0).all(axis=-1)
    if solid.all() or not solid.any() or (black == ~solid).all():
        return colours
    problem = f"{path} has transparent pixels, and its colours say something else"
    advice = "save it without transparency, or use --reader pairs:masks=alpha if the mask is the transparency"
    raise DataError(problem, "a mask with one value per pixel", advice)


def _of_transparency(page: Page, path: Path) -> Mask:
    array = page.array
    if array.shape[-1] not in (2, 4):  # an opaque alpha channel has been removed
        return Mask(np.full(array.shape[:2], 255, np.int64), str(path))
    return Mask(to_integers(array[..., -1], path), str(path), wide=array.dtype.itemsize > 1)


def _rgb(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    """Colours `(H, W, 3)`, each 0..255."""
    if pixels.dtype == np.uint16 and not (pixels % 257).any():
        pixels = pixels // 257
    if pixels.dtype.kind == "f" or pixels.max() > 255:
        raise DataError(f"{path} has {pixels.dtype} values", "colours of 8 bits", "save it as RGB or palette image")
    return pixels if pixels.shape[-1] == 3 else pixels[..., [0, 0, 0]]


def _coloured(pixels: NDArray[Any], path: Path) -> DataError:
    """The error of a colour image, which proposes classes by colour if there are few."""
    expected = "a mask with one value per pixel"
    if pixels.shape[-1] == 3 and pixels.dtype == np.uint8:
        found, counts = np.unique(of_colours(pixels), return_counts=True)
        most = sorted(zip(counts.tolist(), found.tolist(), strict=True), reverse=True)
        if len(most) <= _SHOWN:
            names = proposed([value for _, value in most])
            problem = f"{path} is a colour image with {len(most)} colours"
            return DataError(problem, expected, f"name the classes by colour, all of them: --classes {names}")
        problem = f"{path} is a colour image with {len(most)} colours"
        return DataError(problem, expected, "save it as a grey or palette image, without antialiasing or JPEG")
    return DataError(f"{path} is a colour image", expected, "save it as a grey or palette image")
