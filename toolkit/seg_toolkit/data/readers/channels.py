"""Channels as files of one case, as microscopes save them: images/CASE_dapi.tif, images/CASE_actin.tif, …

with masks/CASE.* as in a folder of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError, SegError

from .. import (
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    by_channels,
    by_name,
    matched,
    parse_channels,
    read_channels,
    read_mask,
    to_labels,
)


@dataclass(frozen=True)
class _ChannelsCase(Case):
    """A case whose image lies in a file for each channel."""

    name: str
    image_files: tuple[Path, ...]
    mask_file: Path

    def image(self) -> NDArray[Any]:
        """`(H, W, C)`, a channel for each file."""
        return read_channels(self.image_files)

    def values(self) -> dict[int, str]:
        """Of the mask."""
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file))}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`."""
        labels = to_labels(read_mask(self.mask_file), classes, str(self.mask_file))
        return Example(self.image(), labels).checked(self.name)


def find_channels(root: Path, report: Report, files: str = "") -> DataSet:
    """The cases that have a mask.

    Args:
        root: the folder of `images` and `masks`.
        report: called with a line about cases without a mask and masks without a case.
        files: how the names of the channels' files end, in order: `_dapi+_actin+_tubulin`.

    Raises:
        SegError: fewer than two channels named, or one twice.
        DataError: no such folders, or no case with a mask.
        ImageError: a case lacks a channel, or a file is none.
    """
    channel_files = parse_channels(files)
    if len(channel_files) < 2 or any(file.factor > 1 for file in channel_files):
        problem, fix = f"the reader channels with files={files}", "such as channels:files=_dapi+_actin"
        raise SegError(problem, "how their names end, two or more, each once, all of one size", fix)
    layout = f"images/CASE{channel_files[0].ending}.*, … with masks/CASE.*"
    for part in ("images", "masks"):
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", layout, "point to the folder that holds them")
    images, masks = by_channels(root / "images", channel_files), by_name(root / "masks")
    names = matched(report, (images, "cases without a mask"), (masks, "masks without a case"))
    if not names:
        raise DataError(f"no case in {root / 'images'} has the name of a mask", layout, "rename them")
    cases = tuple(_ChannelsCase(name, images[name], masks[name]) for name in names)
    return DataSet(cases, channel_files=channel_files)
