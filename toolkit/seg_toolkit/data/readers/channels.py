"""Reader of channels in separate files, as microscopes save them.

The files are images/CASE_dapi.tif, images/CASE_actin.tif and so on, with masks/CASE.* as in the reader `pairs`.
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
    """A case whose image has one file per channel."""

    name: str
    image_files: tuple[Path, ...]
    mask_file: Path

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`, one channel per file."""
        return read_channels(self.image_files)

    def values(self) -> dict[int, str]:
        """Values of the mask."""
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file))}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        labels = to_labels(read_mask(self.mask_file), classes, str(self.mask_file))
        return Example(self.image(), labels).checked(self.name)


def find_channels(root: Path, report: Report, files: str = "") -> DataSet:
    """Find the cases that have a mask.

    Args:
        root: folder that contains `images` and `masks`.
        report: called with a message about cases without a mask and masks without a case.
        files: endings of the channels' file names, in order: `_dapi+_actin+_tubulin`.

    Raises:
        SegError: if fewer than two channels are named, or one is repeated.
        DataError: if a folder is missing, or no case has a mask.
        ImageError: if a case lacks a channel, or a file belongs to no channel.
    """
    channel_files = parse_channels(files)
    if len(channel_files) < 2 or any(file.factor > 1 for file in channel_files):
        problem, advice = f"the reader channels has files={files}", "write it like channels:files=_dapi+_actin"
        raise SegError(problem, "two or more endings of file names, each once, without factors", advice)
    layout = f"images/CASE{channel_files[0].ending}.*, … with masks/CASE.*"
    for part in ("images", "masks"):
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", layout, "give the folder that contains it")
    images, masks = by_channels(root / "images", channel_files), by_name(root / "masks")
    names = matched(report, (images, "cases without a mask"), (masks, "masks without a case"))
    if not names:
        raise DataError(f"no case in {root / 'images'} has the name of a mask", layout, "rename the files")
    cases = tuple(_ChannelsCase(name, images[name], masks[name]) for name in names)
    return DataSet(cases, channel_files=channel_files)
