"""Registered channels that are files of one case: CASE_dapi.tif, CASE_actin.tif -> one image with two channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..model import ChannelFile
from ..pipeline import Array, has_opaque_alpha
from ..support import ImageError, SegError
from .files import FORMATS, head_of
from .format import stem_of


def group(
    paths: Sequence[Path], channel_files: Sequence[ChannelFile]
) -> tuple[dict[Path, tuple[Path, ...]], list[tuple[Path, SegError]]]:
    """Which files are one case.

    Args:
        paths: image files of any folders; files of one case lie in one folder.
        channel_files: of the contract, whose endings stand before the suffix, in order: `_dapi`, `_actin`.

    Returns:
        Folder/CASE with the files of all channels, in order, or with the one file that holds as many itself; and what
        cannot be grouped: files that are no channel, two files for one channel, cases that lack a channel, each with its error.
    """
    endings = [file.ending for file in channel_files]
    found: dict[Path, dict[str, Path]] = {}
    failed: list[tuple[Path, SegError]] = []
    for path in paths:
        try:
            ending = _ending(path, endings)
            files = found.setdefault(path.parent / stem_of(path).removesuffix(ending), {})
            if (other := files.setdefault(ending, path)) != path:
                problem = f"{path} and {other.name} are the same channel of one case"
                raise ImageError(problem, "one file each", "remove one")
        except SegError as error:
            failed.append((path, error))
    whole: dict[Path, tuple[Path, ...]] = {}
    for case, files in found.items():
        try:
            whole[case] = _complete(case, files, endings)
        except ImageError as error:
            failed.append((next(iter(files.values())), error))
    return whole, failed


def _ending(path: Path, wanted: Sequence[str]) -> str:
    """Which channel a file is, the longest ending that fits; empty for a volume that holds all of them.

    Raises:
        ImageError: it is neither, or a volume that cannot be read.
        SegError: the package that reads it is not installed.
    """
    stem = stem_of(path)
    if endings := [e for e in wanted if stem.endswith(e) and stem != e]:
        return max(endings, key=len)
    problem, fix = f"{path} is no channel of a case", "name it so, or keep it elsewhere"
    if (count := FORMATS.of(head_of(path), path).stored_channels(path)) is None:
        raise ImageError(problem, _names(wanted), fix)
    if count != len(wanted):
        either = f"{_names(wanted)}, or {len(wanted)} in one volume"
        raise ImageError(f"{problem} and has {count} of its own", either, fix)
    return ""


def _complete(case: Path, files: Mapping[str, Path], endings: Sequence[str]) -> tuple[Path, ...]:
    """The files of a case in the order of its channels.

    Raises:
        ImageError: it lacks a channel, or has all of them in one file and some once more.
    """
    there = ", ".join(file.name for file in files.values())
    if "" in files:
        if len(files) > 1:
            raise ImageError(f"{case} is in {there}", "its channels once", "remove what is too much")
        return (files[""],)
    if missing := [ending for ending in endings if ending not in files]:
        problem, fix = f"{case} has no channel {' and no '.join(missing)}", f"add it beside {there}, or name it, too"
        raise ImageError(problem, f"a file each: {_names(endings)}", fix)
    return tuple(files[ending] for ending in endings)


def _names(endings: Sequence[str]) -> str:
    return ", ".join(f"CASE{ending}" for ending in endings)


def stacked(pages: Sequence[Array], names: Sequence[str], channel_files: Sequence[ChannelFile] = ()) -> Array:
    """One image `(*spatial, len(pages))` of one-channel images `(*spatial, C)`; three equal channels count as one.

    Args:
        pages: of the channels, in order.
        names: of their files, for errors.
        channel_files: of the contract, by whose factors each is enlarged first; empty for none. A pixel becomes a
            square of so many, so that grey values stay what they were, on every machine.

    Raises:
        ImageError: a channel in colour, or sizes or dtypes that differ.
    """
    planes = [_plane(page, name) for page, name in zip(pages, names, strict=True)]
    scales = [file.factor for file in channel_files] or [1] * len(planes)
    finest = scales.index(1)
    shape, dtype = planes[finest].shape, planes[finest].dtype
    for plane, name, factor in zip(planes, names, scales, strict=True):
        if tuple(n * factor for n in plane.shape) != shape or plane.dtype != dtype:
            problem = f"{name} has {_kind(plane)}, {Path(names[finest]).name} {_kind(planes[finest])}"
            size = "one size" if factor == 1 else f"a size that is 1/{factor} of it"
            raise ImageError(problem, f"registered channels: {size}, one dtype", "export them together")
    return np.stack([_enlarged(plane, factor) for plane, factor in zip(planes, scales, strict=True)], axis=-1)


def _enlarged(plane: Array, factor: int) -> Array:
    for axis in range(plane.ndim if factor > 1 else 0):
        plane = plane.repeat(factor, axis=axis)
    return plane


def _plane(page: Array, name: str) -> Array:
    colour = page[..., :3] if page.shape[-1] >= 3 else page[..., :1]
    alpha = page.ndim == 3 and page.shape[-1] in (2, 4) and has_opaque_alpha(page)
    if not (page.shape[-1] in (1, 3) or alpha) or (colour != colour[..., :1]).any():
        raise ImageError(f"{name} has {page.shape[-1]} channels", "one channel a file", "split it")
    plane: Array = colour[..., 0]
    return plane


def _kind(plane: Array) -> str:
    return f"{'×'.join(str(n) for n in reversed(plane.shape))} px of {plane.dtype}"
