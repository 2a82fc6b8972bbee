"""Registered channels as files of one case, as microscopes save them: images/CASE_dapi.tif, images/CASE_actin.tif, …

with masks/CASE.* as in a folder of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from seg_runtime.formats import FORMATS, group, stacked
from seg_runtime.model.input import ChannelFile
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError, SegError

from ..case import Case, Example
from ..folder import ClassValues, by_stem, read_image, read_mask, to_labels


@dataclass(frozen=True)
class ChannelsCase(Case):
    """A case whose image lies in a file for each channel."""

    name: str
    image_files: tuple[Path, ...]
    mask_file: Path
    files: tuple[ChannelFile, ...]

    @property
    def channel_files(self) -> tuple[ChannelFile, ...]:
        """How their names end."""
        return self.files

    def image(self) -> Array:
        """`(H, W, C)`, a channel each."""
        return stacked([read_image(path) for path in self.image_files], [str(path) for path in self.image_files])

    def values(self) -> dict[int, str]:
        """Of the mask."""
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file))}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`."""
        labels = to_labels(read_mask(self.mask_file), classes, str(self.mask_file))
        return Example(self.image(), labels).checked(self.name)


def find_channels(root: Path, report: Callable[[str], None], files: str = "") -> list[ChannelsCase]:
    """The cases that have a mask.

    Args:
        root: the folder of `images` and `masks`.
        report: told about cases without a mask and masks without a case.
        files: how the names of the channels' files end, in order: `_dapi+_actin+_tubulin`.

    Raises:
        SegError: fewer than two channels named, or one twice.
        DataError: no such folders, or no case with a mask.
        ImageError: a case lacks a channel, or a file is none.
    """
    endings = tuple(files.split("+"))
    if len(endings) < 2 or not all(endings) or len(set(endings)) < len(endings):
        raise SegError(f"the reader channels with files={files}", "how their names end, two or more, each once",
                       "such as channels:files=_dapi+_actin")  # fmt: skip
    layout = f"images/CASE{endings[0]}.*, … with masks/CASE.*"
    for part in ("images", "masks"):
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", layout, "point to the folder that holds them")
    channels = tuple(ChannelFile(ending) for ending in endings)
    found, failed = group(_pictures(root / "images"), channels)
    if failed:
        raise failed[0][1]
    images = {case.name: paths for case, paths in found.items()}
    masks = by_stem(root / "masks")
    both = sorted(images.keys() & masks.keys())
    for names, what in ((images.keys(), "cases without a mask"), (masks.keys(), "masks without a case")):
        if odd := sorted(names - set(both)):
            report(f"{len(odd)} {what}, left out: {', '.join(odd[:5])}{' …' if len(odd) > 5 else ''}")
    if not both:
        raise DataError(f"no case in {root / 'images'} has the name of a mask", layout, "rename them")
    return [ChannelsCase(name, images[name], masks[name], channels) for name in both]


def _pictures(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if FORMATS.is_picture(p) and not p.name.startswith(".")]
