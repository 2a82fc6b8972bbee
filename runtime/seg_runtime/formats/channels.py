"""Join the channel files of a case: CASE_dapi.tif and CASE_actin.tif -> one image with two channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..model import Acquisition, ChannelFile
from ..pipeline import Array
from ..support import ImageError, SegError, described_size
from .files import FORMATS, head_of
from .format import stem_of

_SAME_SIZE = 1.01  # factor of the sides of pixels that are equal but for the rounding of programs


def group(
    paths: Sequence[Path], channel_files: Sequence[ChannelFile]
) -> tuple[dict[Path, tuple[Path, ...]], list[tuple[Path, SegError]]]:
    """Group files by case.

    Args:
        paths: image files in any folders; the files of a case are in one folder.
        channel_files: channel files of the contract, in order; their endings precede the suffix: `_dapi`, `_actin`.

    Returns:
        Folder/CASE -> the files of all channels, in order, or the single file that holds all channels; and the files
        that cannot be grouped, each with its error: files that are not a channel, a second file for a channel, cases
        that lack a channel.
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
                raise ImageError(problem, "one file per channel", "remove one of them")
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
    """Return the ending of a channel file, the longest that matches; empty for a volume that holds all channels.

    Raises:
        ImageError: the file is neither, or is a volume that cannot be read.
        SegError: the package that reads it is not installed.
    """
    stem = stem_of(path)
    if endings := [e for e in wanted if stem.endswith(e) and stem != e]:
        return max(endings, key=len)
    problem, advice = f"{path} is not a channel of a case", "rename it, or move it to another folder"
    if (count := FORMATS.of(head_of(path), path).stored_channels(path)) is None:
        raise ImageError(problem, _names(wanted), advice)
    if count != len(wanted):
        expected = f"{_names(wanted)}, or one volume with {len(wanted)} channels"
        raise ImageError(f"{problem} and has {count} channel{'' if count == 1 else 's'}", expected, advice)
    return ""


def _complete(case: Path, files: Mapping[str, Path], endings: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of a case in the order of its channels.

    Raises:
        ImageError: the case lacks a channel, or has all channels in one file and further files.
    """
    there = ", ".join(file.name for file in files.values())
    if "" in files:
        if len(files) > 1:
            problem = f"{case} has more than one file for a channel ({there})"
            raise ImageError(problem, "each channel once", "remove the extra files")
        return (files[""],)
    if missing := [ending for ending in endings if ending not in files]:
        problem, advice = f"{case} lacks the channel {' and '.join(missing)}", f"add the file next to {there}"
        raise ImageError(problem, f"one file per channel, {_names(endings)}", f"{advice}, or pass it as well")
    return tuple(files[ending] for ending in endings)


def _names(endings: Sequence[str]) -> str:
    return ", ".join(f"CASE{ending}" for ending in endings)


def stacked(pages: Sequence[Array], names: Sequence[str], channel_files: Sequence[ChannelFile] = ()) -> Array:
    """Join one-channel images `(*spatial, C)` to `(*spatial, len(pages))`; three equal channels count as one.

    Args:
        pages: the images, in the order of the channels.
        names: names of their files, for errors.
        channel_files: channel files of the contract, whose factors enlarge the images first; empty for none. Pixels are
            repeated, so that the grey values do not change on any machine.

    Raises:
        ImageError: a channel is in colour, or the sizes or dtypes differ.
    """
    planes = [_plane(page, name) for page, name in zip(pages, names, strict=True)]
    scales = [file.factor for file in channel_files] or [1] * len(planes)
    finest = scales.index(1)
    shape, dtype = planes[finest].shape, planes[finest].dtype
    for plane, name, factor in zip(planes, names, scales, strict=True):
        if tuple(n * factor for n in plane.shape) != shape or plane.dtype != dtype:
            problem = f"{name} has {_kind(plane)}, {Path(names[finest]).name} {_kind(planes[finest])}"
            size = "the same size" if factor == 1 else f"1/{factor} of that size"
            raise ImageError(problem, f"registered channels with {size} and the same dtype", "export them together")
    return np.stack([_enlarged(plane, factor) for plane, factor in zip(planes, scales, strict=True)], axis=-1)


def acquired(
    found: Sequence[Acquisition], names: Sequence[str], channel_files: Sequence[ChannelFile] = ()
) -> Acquisition:
    """Return how the image that `stacked` makes was acquired: as its first channel with the finest pixels.

    Args:
        found: how each channel was acquired, with the pixels of its file.
        names: names of their files, for errors.
        channel_files: as in `stacked`.

    Raises:
        ImageError: the channels state pixels of different sizes; those of a channel with a factor are larger by it.
    """
    factors = [file.factor for file in channel_files] or [1] * len(found)
    stated = [
        (one.spacing_mm, name, factor)
        for one, name, factor in zip(found, names, factors, strict=True)
        if one.spacing_mm
    ]
    for sides, name, factor in stated:
        first, other, base = stated[0]
        ratios = [a / factor / (b / base) for a, b in zip(reversed(sides), reversed(first), strict=False)]
        if max(ratios) > _SAME_SIZE or min(ratios) < 1 / _SAME_SIZE:
            problem = f"{name} has pixels of {described_size(sides)}, {Path(other).name} of {described_size(first)}"
            expected = "pixels of one size" if factor == base else f"pixels whose sides are as {factor} to {base}"
            raise ImageError(problem, expected, "correct the size in the files, or give it with --pixel-size")
    return found[factors.index(1)]


def _enlarged(plane: Array, factor: int) -> Array:
    for axis in range(plane.ndim if factor > 1 else 0):
        plane = plane.repeat(factor, axis=axis)
    return plane


def _plane(page: Array, name: str) -> Array:
    colour = page[..., :3] if page.shape[-1] >= 3 else page[..., :1]
    if page.shape[-1] not in (1, 3) or (colour != colour[..., :1]).any():
        raise ImageError(f"{name} has {page.shape[-1]} channels", "one channel per file", "split it")
    plane: Array = colour[..., 0]
    return plane


def _kind(plane: Array) -> str:
    return f"{'×'.join(str(n) for n in reversed(plane.shape))} px of {plane.dtype}"
