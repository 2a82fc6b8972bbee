"""Registered channels that are files of one case: CASE_dapi.tif, CASE_actin.tif -> one image with two channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .errors import ImageError, SegError
from .image import has_opaque_alpha
from .nifti import stem_of
from .preprocess import Array


def group(
    paths: Sequence[Path], channel_files: Sequence[str]
) -> tuple[dict[Path, tuple[Path, ...]], list[tuple[Path, SegError]]]:
    """Which files are one case.

    Args:
        paths: image files of any folders; files of one case lie in one folder.
        channel_files: how the names of the channels' files end, before their suffix, in order: `_dapi`, `_actin`.

    Returns:
        Folder/CASE with the files of all channels, in order, and what cannot be grouped: files that are no channel, two
        files for one channel, cases that lack a channel, each with its error.
    """
    found: dict[Path, dict[str, Path]] = {}
    failed: list[tuple[Path, SegError]] = []
    wanted = ", ".join(f"CASE{ending}" for ending in channel_files)
    for path in paths:
        stem = stem_of(path)
        endings = [e for e in channel_files if stem.endswith(e) and stem != e]
        if not endings:
            came = f"{path} is no channel of a case"
            failed.append((path, ImageError(came, wanted, "name it so, or keep it elsewhere")))
            continue
        ending = max(endings, key=len)
        files = found.setdefault(path.parent / stem[: -len(ending)], {})
        if (other := files.setdefault(ending, path)) != path:
            came = f"{path} and {other.name} are the same channel of one case"
            failed.append((path, ImageError(came, "one file each", "remove one")))
    whole: dict[Path, tuple[Path, ...]] = {}
    for case, files in found.items():
        if missing := [ending for ending in channel_files if ending not in files]:
            came = f"{case} has no channel {' and no '.join(missing)}"
            there = ", ".join(file.name for file in files.values())
            fix = f"add it beside {there}, or name it, too"
            failed.append((next(iter(files.values())), ImageError(came, f"a file each: {wanted}", fix)))
        else:
            whole[case] = tuple(files[ending] for ending in channel_files)
    return whole, failed


def stacked(pages: Sequence[Array], names: Sequence[str]) -> Array:
    """One image `(*spatial, len(pages))` of one-channel images `(*spatial, C)`; three equal channels count as one.

    Args:
        pages: of the channels, in order.
        names: of their files, for errors.

    Raises:
        ImageError: a channel in colour, or sizes or dtypes that differ.
    """
    planes = [_plane(page, name) for page, name in zip(pages, names, strict=True)]
    first = planes[0]
    for plane, name in zip(planes, names, strict=True):
        if plane.shape != first.shape or plane.dtype != first.dtype:
            came = f"{name} has {_kind(plane)}, {names[0]} {_kind(first)}"
            raise ImageError(came, "registered channels: one size, one dtype", "export them together")
    return np.stack(planes, axis=-1)


def _plane(page: Array, name: str) -> Array:
    colour = page[..., :3] if page.shape[-1] >= 3 else page[..., :1]
    alpha = page.ndim == 3 and page.shape[-1] in (2, 4) and has_opaque_alpha(page)
    if not (page.shape[-1] in (1, 3) or alpha) or (colour != colour[..., :1]).any():
        raise ImageError(f"{name} has {page.shape[-1]} channels", "one channel a file", "split it")
    plane: Array = colour[..., 0]
    return plane


def _kind(plane: Array) -> str:
    return f"{'×'.join(str(n) for n in reversed(plane.shape))} px of {plane.dtype}"
