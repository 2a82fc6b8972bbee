"""Files of a data set: found by name, and read as the runtime reads them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import (
    FORMATS,
    Page,
    Pages,
    ReadOptions,
    acquired,
    group,
    head_of,
    opened,
    read_bytes,
    stacked,
    stem_of,
)
from seg_runtime.model import Acquisition, ChannelFile
from seg_runtime.support import DataError, SegError, counted, list_files, named

Progress = Callable[[Iterable[Any]], Iterable[Any]]
"""Wraps an iterable to show its progress; `iter` shows nothing."""
Bar = Callable[[str, int], Progress]
"""Makes a progress bar from a label and a length; the bar wraps an iterable."""
Report = Callable[[str], None]
"""Called with a message for the user: a choice, a note, or files that are left out."""


class LeftOut(str):
    """A message of a reader about files that it leaves out.

    Attributes:
        names: names of all of them.
    """

    names: tuple[str, ...] = ()


_Find = TypeVar("_Find", bound=Callable[..., Any])


def reads(fits: Callable[[Path], bool]) -> Callable[[_Find], _Find]:
    """Mark a reader with a function that says whether a folder has its layout, from the names of folders and files."""

    def mark(find: _Find) -> _Find:
        find.__dict__["fits"] = fits
        return find

    return mark


_COMPARED = 200  # names of each side, since comparing takes long
_STACKS = (".tif", ".tiff")  # files that may hold several pages


def by_name(
    folder: Path, accepts: Callable[[Path], bool] = FORMATS.is_picture, recursive: bool = False
) -> dict[str, Path]:
    """List the files of a folder by name without suffix, sorted; empty if the folder does not exist.

    Args:
        folder: folder to search.
        accepts: returns whether a file belongs to the data set, by its name; images by default.
        recursive: search subfolders too.

    Raises:
        DataError: if two files have the same name, or a folder is named like a file.
    """
    found: dict[str, Path] = {}
    for path in [*list_files(folder, recursive), *_folders(folder)]:
        if not accepts(path):
            continue
        if path.is_dir():
            raise DataError(f"{path} is a folder", "a file", "rename or remove it")
        other = found.setdefault(composed(stem_of(path)), path)
        if other != path:
            raise DataError(f"{path} and {other} have the same name", "one file per name", "remove one of them")
    return dict(sorted(found.items()))


def composed(name: str) -> str:
    """Normalise a name, because systems store letters such as ü in one or in two characters."""
    return unicodedata.normalize("NFC", name)


def _folders(folder: Path) -> Iterable[Path]:
    return (p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else ()


def parse_channels(text: str) -> tuple[ChannelFile, ...]:
    """Parse the endings of the channels' file names, in order and with factors: `_red*4+_green*4+_pan`.

    Raises:
        SegError: if an ending is repeated or missing, or no factor is 1.
    """
    parts = [re.fullmatch(r"([^*]+)(?:\*([1-9]\d?))?", part) for part in text.split("+")] if text else []
    found = tuple(ChannelFile(part[1], int(part[2] or 1)) for part in parts if part)
    if len({file.ending for file in found}) < len(parts) or min((file.factor for file in found), default=1) > 1:
        expected = "endings of file names, each once, the finest without a factor"
        raise SegError(f"the reader has the endings {text}", expected, "write them like _red*4+_green*4+_pan")
    return found


def by_channels(folder: Path, channel_files: Sequence[ChannelFile]) -> dict[str, tuple[Path, ...]]:
    """List the files of each case, one per channel in order, by the name of the case.

    Raises:
        ImageError: if a case lacks a channel, or a file belongs to no channel.
    """
    found, failed = group([path for path in list_files(folder) if FORMATS.is_picture(path)], channel_files)
    if failed:
        raise failed[0][1]
    return {composed(case.name): files for case, files in found.items()}


def matched(report: Report, *parts: tuple[Mapping[str, object], str]) -> list[str]:
    """Names that occur in all parts, sorted.

    Args:
        report: called with a message about the other names.
        parts: items by name, each with a phrase for items that other parts lack, such as "masks without an image".
    """
    both = set.intersection(*(set(found) for found, _ in parts))
    for found, what in parts:
        others = {name for other, _ in parts if other is not found for name in set(other) - both}
        report_left_out(report, set(found) - both, what, others)
    return sorted(both)


def report_left_out(report: Report, names: Iterable[str], what: str, others: Iterable[str] = ()) -> None:
    """Report names that are left out, if any, as "3 masks without an image, left out: a, b, c".

    Args:
        report: called with the message, a `LeftOut`.
        names: names that are left out.
        what: what they are; its first word is a plural that ends in s.
        others: names without a match on the other side, of which the nearest is shown.
    """
    if not (listed := sorted(names)):
        return
    near = nearest(listed, others)
    noun, _, rest = what.partition(" ")
    text = LeftOut(
        f"{counted(len(listed), noun.removesuffix('s'))} {rest}, left out: {named(listed)}{f'; nearest name: {near}' if near else ''}"
    )
    text.names = tuple(listed)
    report(text)


def nearest(names: Sequence[str], others: Iterable[str]) -> str:
    """Format the pair of names that are most alike, as `a-01 and a_01`; empty if none are alike."""
    known = sorted(others)
    for name in names[:_COMPARED]:
        if found := get_close_matches(name, known[:_COMPARED], 1):
            return f"{name} and {found[0]}"
    return ""


def read_image(path: Path) -> NDArray[Any]:
    """Read an image file of one page as the runtime does; returns `(H, W, C)`."""
    return only_page(read_bytes(path), path, indices=False).array


def acquisition_of(
    paths: Path | Sequence[Path], channel_files: Sequence[ChannelFile] = (), axes: int = 2
) -> Acquisition:
    """Read how an image was acquired, from the header of its file, or of the file of each channel.

    Args:
        paths: the file, or the files of the channels in order.
        channel_files: as in `read_channels`.
        axes: number of axes of the image, which may be one page of a stack.

    Raises:
        ImageError: if a header cannot be read, or the channels state different sizes of a pixel.
    """
    files = [paths] if isinstance(paths, Path) else paths
    found = [_acquisition(path, _stamp(path)) for path in files]
    found = [replace(one, spacing_mm=one.spacing_mm[-axes:]) for one in found]
    return acquired(found, [str(path) for path in files], channel_files if len(files) > 1 else ())


@lru_cache(maxsize=1024)
def _acquisition(path: Path, stamp: tuple[int, int] | None) -> Acquisition:
    """Read the header of a file once, since a stack has many pages."""
    return FORMATS.of(head_of(path), path).acquisition(path)


def to_integers(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Convert mask values of any dtype to int64.

    Raises:
        DataError: if a value is not an integer.
    """
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and (whole != values).any():
        raise DataError(f"{path} has fractional values", "integers", "save it as a label image")
    return whole


def only_page(data: bytes, path: Path, indices: bool) -> Page:
    """Read the page of a file with this content.

    Raises:
        DataError: if the file has several pages.
        ImageError: if it cannot be read.
    """
    pages = FORMATS.of(data, path).read(data, str(path), ReadOptions(indices=indices))
    page = next(pages)
    if next(pages, None) is not None:
        raise DataError(f"{path} has several pages", "one image per file", "split the stack")
    return page


def read_channels(
    paths: Sequence[Path], channel_files: Sequence[ChannelFile] = (), read: Callable[[Path], NDArray[Any]] = read_image
) -> NDArray[Any]:
    """Read one image `(*spatial, C)` from one file, or from one file per channel.

    Args:
        paths: paths of the channels, in order.
        channel_files: channel files of the contract with their enlargement factors; empty for none.
        read: function that reads one file.

    Raises:
        ImageError: if a channel is in colour, or sizes or dtypes differ.
    """
    planes = [read(path) for path in paths]
    return planes[0] if len(planes) == 1 else stacked(planes, [str(path) for path in paths], channel_files)


def page_count(path: Path, indices: bool = False) -> int:
    """Number of pages of an image file."""
    return len(_stack(path, indices)) if path.suffix.lower() in _STACKS else 1


def read_page(path: Path, page: int, indices: bool = False) -> NDArray[Any]:
    """Read one page `(H, W, C)` of an image file. The file stays open in each process, because finding a page takes time.

    Raises:
        DataError: if the file no longer has this page.
    """
    if path.suffix.lower() not in _STACKS:
        return only_page(read_bytes(path), path, indices).array
    pages = _stack(path, indices)
    if page >= len(pages):
        raise DataError(f"{path} no longer has page {page + 1}", "", "do not change the file while it is read")
    return pages[page]


def _stack(path: Path, indices: bool) -> Pages:
    return _opened(path, _stamp(path), indices)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes if a file is written again; None if it cannot be read, of which reading it raises an error."""
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_mtime_ns, now.st_size


@lru_cache(maxsize=32)
def _opened(path: Path, stamp: tuple[int, int] | None, indices: bool) -> Pages:
    return opened(read_bytes(path), str(path), indices=indices)
