"""Reader of images with target images for regression.

    images/NAME.tif       the image, or images/NAME_red.tif, NAME_pan.tif and so on, one channel per file
    targets/NAME.tif      the values to predict, or targets/NAME_nuclei.tif and so on, one output per file

Both may be stacks with equal numbers of pages; each page is a case. Channels in separate files may be coarser than the
finest one by an integer factor, such as the bands of a satellite compared with its panchromatic channel: `_red*4` is
enlarged four times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from seg_runtime.model import Acquisition, ChannelFile
from seg_runtime.support import DataError, SegError

from .. import (
    VALUES,
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    acquisition_of,
    by_channels,
    by_name,
    matched,
    page_count,
    parse_channels,
    read_channels,
    read_page,
    reads,
)

_PARTS = ("images", "targets")
_LAYOUT = "images/NAME.* with targets/NAME.*"


@dataclass(frozen=True)
class _TargetCase(Case):
    """A page of an image with the same page of its targets.

    Attributes:
        name: name of the case, unique in its data set.
        image_files: one file, or one per channel.
        target_files: one file, or one per output.
        page: page number, from 0.
        channels: channels of the image if each is a file.
        outputs: number of values per pixel of the target.
    """

    name: str
    image_files: tuple[Path, ...]
    target_files: tuple[Path, ...]
    page: int
    channels: tuple[ChannelFile, ...]
    outputs: int

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_channels(self.image_files, self.channels, partial(read_page, page=self.page))

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_files, self.channels)

    def values(self) -> dict[int, str]:
        """Empty: there is no mask."""
        return {}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and targets.

        Raises:
            DataError: if they differ in size, or the number of channels differs from that of the first target.
        """
        targets = read_channels(self.target_files, read=partial(read_page, page=self.page))
        if targets.shape[-1] != self.outputs:
            problem = f"the target of {self.name} has {targets.shape[-1]} channels"
            raise DataError(problem, f"{self.outputs}, as the first target has", "export the targets again")
        return Example.of_values(self.image(), targets).checked(self.name)


def _fits_targets(root: Path) -> bool:
    """Whether a folder has images and targets."""
    return all((root / part).is_dir() for part in _PARTS)


@reads(_fits_targets)
def find_targets(root: Path, report: Report, targets: str = "", images: str = "") -> DataSet:
    """Find the cases that have targets, one per page.

    Args:
        root: folder that contains `images` and `targets`.
        report: called with a message about images without targets and targets without an image.
        targets: endings of the outputs' file names, in order: `_nuclei+_membrane`; empty if one file holds all outputs.
        images: endings of the channels' file names: `_red*4+_green*4+_pan`; empty if one file holds all channels.

    Raises:
        SegError: if an ending is repeated, or no factor is 1.
        DataError: if a folder is missing, nothing matches, or stacks have different numbers of pages.
        ImageError: if a case lacks a file, or a file cannot be read.
    """
    for part in _PARTS:
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", _LAYOUT, "give the folder that contains it")
    channels, outputs = parse_channels(images), parse_channels(targets)
    if any(file.factor > 1 for file in outputs):
        problem = f"the reader targets has targets={targets}"
        raise SegError(problem, "targets of the size of the image", "leave out the factors")
    pictures, truths = (_files(root / part, files) for part, files in zip(_PARTS, (channels, outputs), strict=True))
    both = matched(report, (pictures, "images without a target"), (truths, "targets without an image"))
    if not both:
        raise DataError(f"no image in {root / 'images'} has the name of a target", _LAYOUT, "rename the files")
    names = _output_names(outputs, truths[both[0]][0])
    cases: list[Case] = []
    for name in both:
        count = _pages(name, (*pictures[name], *truths[name]))
        titles = [name] if count == 1 else [f"{name}_page{n:0{len(str(count - 1))}}" for n in range(count)]
        cases += [
            _TargetCase(title, pictures[name], truths[name], page, channels, len(names))
            for page, title in enumerate(titles)
        ]
    if twice := sorted(name for name, count in Counter(case.name for case in cases).items() if count > 1):
        problem = f"two cases have the name {twice[0]}: a page of a stack and a file"
        raise DataError(problem, "", "rename the file")
    return DataSet(tuple(cases), VALUES, names, channels)


def _files(folder: Path, channels: Sequence[ChannelFile]) -> dict[str, tuple[Path, ...]]:
    """List the files of each case by name."""
    return by_channels(folder, channels) if channels else {name: (p,) for name, p in by_name(folder).items()}


def _pages(name: str, files: Sequence[Path]) -> int:
    counts = {path: page_count(path) for path in files}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path.parent.name}/{path.name} {count}" for path, count in counts.items())
        problem = f"the files of {name} have different numbers of pages: {listed}"
        raise DataError(problem, "", "export them again")
    return counts[files[0]]


def _output_names(outputs: Sequence[ChannelFile], target: Path) -> tuple[str, ...]:
    """Name the outputs by the endings of the files, or by the channels of a target if there are none."""
    if outputs:
        endings = tuple(file.ending for file in outputs)
        bare = tuple(ending.strip("_-. ") or ending for ending in endings)
        return bare if len(set(bare)) == len(bare) else endings
    count = read_page(target, 0).shape[-1]
    return ("value",) if count == 1 else tuple(f"value{n}" for n in range(1, count + 1))
