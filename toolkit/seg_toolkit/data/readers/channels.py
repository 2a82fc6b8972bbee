"""Reader of channels in separate files, as microscopes save them.

The files are images/CASE_dapi.tif, images/CASE_actin.tif and so on, with masks/CASE.* as in the reader `pairs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from seg_runtime.model import Acquisition
from seg_runtime.support import DataError, SegError

from .. import DataSet, Report, acquisition_of, by_channels, by_name, matched, parse_channels, read_channels
from .pairs import PairCase


@dataclass(frozen=True)
class ChannelsCase(PairCase):
    """A case whose image has one file per channel; `image_file` is the first."""

    image_files: tuple[Path, ...] = ()

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`, one channel per file."""
        return read_channels(self.image_files)

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_files)


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
    cases = tuple(ChannelsCase(name, images[name][0], masks[name], image_files=images[name]) for name in names)
    return DataSet(cases, channel_files=channel_files)
