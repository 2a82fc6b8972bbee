"""Files of a data set: found by their names, and read as the runtime reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, Pages, ReadOptions, group, read_bytes, stacked, stem_of
from seg_runtime.model import ChannelFile
from seg_runtime.support import DataError, SegError, list_files, named

Report = Callable[[str], None]
"""Called with a line for a person: a choice, a note, files that are left out."""

_STACKS = (".tif", ".tiff")  # files that may hold several pages


def by_name(
    folder: Path, accepts: Callable[[Path], bool] = FORMATS.is_picture, recursive: bool = False
) -> dict[str, Path]:
    """Files of a folder by their names without suffix, sorted; empty where there is no such folder.

    Args:
        folder: to look into.
        accepts: whether a file belongs to them, by its name; pictures by default.
        recursive: look into folders of folders, too.

    Raises:
        DataError: two files of one name, or a folder that is named like a file.
    """
    found: dict[str, Path] = {}
    for path in [*list_files(folder, recursive), *_folders(folder)]:
        if not accepts(path):
            continue
        if path.is_dir():
            raise DataError(f"{path} is a folder", "a file", "rename it, or take it away")
        other = found.setdefault(stem_of(path), path)
        if other != path:
            raise DataError(f"{path} and {other} have one name", "one file per name", "remove one")
    return dict(sorted(found.items()))


def _folders(folder: Path) -> Iterable[Path]:
    return (p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else ()


def parse_channels(text: str) -> tuple[ChannelFile, ...]:
    """How the names of the channels' files end, in order, with factors: `_red*4+_green*4+_pan`.

    Raises:
        SegError: an ending twice or none, or factors of which none is 1.
    """
    parts = [re.fullmatch(r"([^*]+)(?:\*([1-9]\d?))?", part) for part in text.split("+")] if text else []
    found = tuple(ChannelFile(part[1], int(part[2] or 1)) for part in parts if part)
    if len({file.ending for file in found}) < len(parts) or min((file.factor for file in found), default=1) > 1:
        wanted = "how their names end, each once, the finest without a factor"
        raise SegError(f"a reader with the endings {text}", wanted, "such as _red*4+_green*4+_pan")
    return found


def by_channels(folder: Path, channel_files: Sequence[ChannelFile]) -> dict[str, tuple[Path, ...]]:
    """The files of each case, one a channel in their order, by the case's name.

    Raises:
        ImageError: a case lacks a channel, or a file is none.
    """
    found, failed = group([path for path in list_files(folder) if FORMATS.is_picture(path)], channel_files)
    if failed:
        raise failed[0][1]
    return {case.name: files for case, files in found.items()}


def matched(report: Report, *parts: tuple[Mapping[str, object], str]) -> list[str]:
    """Names that all parts have, sorted.

    Args:
        report: called with a line about the others.
        parts: things by name, and what those are that the other parts lack, such as "masks without an image".
    """
    both = set.intersection(*(set(found) for found, _ in parts))
    for found, what in parts:
        report_left_out(report, set(found) - both, what)
    return sorted(both)


def report_left_out(report: Report, names: Iterable[str], what: str) -> None:
    """Report names that are left out, if there are any, such as "3 masks without an image, left out: a, b, c"."""
    if listed := sorted(names):
        report(f"{len(listed)} {what}, left out: {named(listed)}")


def read_image(path: Path) -> NDArray[Any]:
    """`(H, W, C)` of an image file of one page, as the runtime reads it."""
    return _only_page(path, indices=False)


def read_mask(path: Path) -> NDArray[np.int64]:
    """Raw values `(H, W)` int64 of a label image: palette images give their indices, not their colours.

    Raises:
        DataError: several pages, a colour picture, or values that are not integers.
    """
    values = _only_page(path, indices=True)
    colours = values[..., : 3 if values.shape[-1] >= 3 else 1]
    if (colours != colours[..., :1]).any():
        raise DataError(f"{path} is a colour picture", "a mask with one value per pixel", "save it as grey or palette")
    return to_integers(colours[..., 0], path)


def to_integers(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Mask values of any dtype as int64.

    Raises:
        DataError: values that are not integers.
    """
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and (whole != values).any():
        raise DataError(f"{path} has fractional values", "integers", "save it as a label image")
    return whole


def _only_page(path: Path, indices: bool) -> NDArray[Any]:
    data = read_bytes(path)
    pages = FORMATS.of(data, path).read(data, str(path), ReadOptions(indices=indices))
    page = next(pages)
    if next(pages, None) is not None:
        raise DataError(f"{path} has several pages", "one image per file", "split the stack")
    return page.array


def read_channels(
    paths: Sequence[Path], channel_files: Sequence[ChannelFile] = (), read: Callable[[Path], NDArray[Any]] = read_image
) -> NDArray[Any]:
    """One image `(*spatial, C)` of a file, or of files that are a channel each.

    Args:
        paths: of the channels, in order.
        channel_files: of the contract, with the factor that each is enlarged by; empty for none.
        read: reads one of them.

    Raises:
        ImageError: a channel in colour, or sizes or dtypes that differ.
    """
    planes = [read(path) for path in paths]
    return planes[0] if len(planes) == 1 else stacked(planes, [str(path) for path in paths], channel_files)


def page_count(path: Path, indices: bool = False) -> int:
    """Pages of an image file."""
    return len(_stack(path, indices)) if path.suffix.lower() in _STACKS else 1


def read_page(path: Path, page: int, indices: bool = False) -> NDArray[Any]:
    """`(H, W, C)` of one page of an image file; the file stays open in each process, since finding a page takes time.

    Raises:
        DataError: it has fewer pages by now.
    """
    if path.suffix.lower() not in _STACKS:
        return _only_page(path, indices)
    pages = _stack(path, indices)
    if page >= len(pages):
        raise DataError(f"{path} has no page {page + 1}", "the pages that it had", "do not change it meanwhile")
    return pages[page]


def _stack(path: Path, indices: bool) -> Pages:
    try:
        now = path.stat()
    except OSError:
        return Pages(read_bytes(path), str(path), indices=indices)  # which says what is wrong
    return _opened(path, (now.st_mtime_ns, now.st_size), indices)


@lru_cache(maxsize=32)
def _opened(path: Path, stamp: tuple[int, int], indices: bool) -> Pages:
    return Pages(read_bytes(path), str(path), indices=indices)
