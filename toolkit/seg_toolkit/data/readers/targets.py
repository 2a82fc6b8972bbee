"""Images with images as their truth, from which a regression learns values.

    images/NAME.tif       the image; also images/NAME_red.tif, NAME_pan.tif and so on, a channel each
    targets/NAME.tif      the values to be answered; also targets/NAME_nuclei.tif and so on, an output each

Both may be stacks of as many pages, each page a case of its own. Channels that are files may be coarser than the finest
one by a whole factor, as the bands of a satellite are than its panchromatic channel: `_red*4` is enlarged four times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from seg_runtime.model import ChannelFile
from seg_runtime.support import DataError, SegError

from .. import (
    VALUES,
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    by_channels,
    by_name,
    matched,
    page_count,
    parse_channels,
    read_channels,
    read_page,
)

_PARTS = ("images", "targets")
_LAYOUT = "images/NAME.* with targets/NAME.*"


@dataclass(frozen=True)
class _TargetCase(Case):
    """A page of an image with the same page of its targets.

    Attributes:
        name: unique in its data set.
        image_files: one, or one for each channel.
        target_files: one, or one for each output.
        page: counted from 0.
        channels: of the image, where each is a file.
        outputs: how many values a pixel of the target has.
    """

    name: str
    image_files: tuple[Path, ...]
    target_files: tuple[Path, ...]
    page: int
    channels: tuple[ChannelFile, ...]
    outputs: int

    def image(self) -> NDArray[Any]:
        """`(H, W, C)`."""
        return read_channels(self.image_files, self.channels, partial(read_page, page=self.page))

    def values(self) -> dict[int, str]:
        """Empty: there is no mask."""
        return {}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and targets.

        Raises:
            DataError: they differ in size, or a target has another number of channels than the first one.
        """
        targets = read_channels(self.target_files, read=partial(read_page, page=self.page))
        if targets.shape[-1] != self.outputs:
            problem = f"the target of {self.name} has {targets.shape[-1]} channels"
            raise DataError(problem, f"{self.outputs} as the first one has", "export them again")
        return Example.of_values(self.image(), targets).checked(self.name)


def find_targets(root: Path, report: Report, targets: str = "", images: str = "") -> DataSet:
    """The cases that have targets, one for each page.

    Args:
        root: the folder of `images` and `targets`.
        report: called with a line about images without targets and targets without an image.
        targets: how the names of the outputs' files end, in order: `_nuclei+_membrane`; empty where one file holds all.
        images: how those of the channels' files end: `_red*4+_green*4+_pan`; empty where one file holds all.

    Raises:
        SegError: endings twice, or factors of which none is 1.
        DataError: no such folder, none that match, or stacks of different numbers of pages.
        ImageError: a case lacks a file, or one cannot be read.
    """
    for part in _PARTS:
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", _LAYOUT, "point to the folder that holds them")
    channels, outputs = parse_channels(images), parse_channels(targets)
    if any(file.factor > 1 for file in outputs):
        raise SegError(f"the reader targets with targets={targets}", "targets of the image's own size", "leave * out")
    pictures, truths = (_files(root / part, files) for part, files in zip(_PARTS, (channels, outputs), strict=True))
    both = matched(report, (pictures, "images without a target"), (truths, "targets without an image"))
    if not both:
        raise DataError(f"no image in {root / 'images'} has the name of a target", _LAYOUT, "rename them")
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
        problem = f"two cases have the name {twice[0]}, a page of a stack and a file"
        raise DataError(problem, "one name each", "rename the file")
    return DataSet(tuple(cases), VALUES, names, channels)


def _files(folder: Path, channels: Sequence[ChannelFile]) -> dict[str, tuple[Path, ...]]:
    """The files of each case, by its name."""
    return by_channels(folder, channels) if channels else {name: (p,) for name, p in by_name(folder).items()}


def _pages(name: str, files: Sequence[Path]) -> int:
    counts = {path: page_count(path) for path in files}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path.parent.name}/{path.name} {count}" for path, count in counts.items())
        raise DataError(f"the pages of {name} are {listed}", "as many in each file", "export them again")
    return counts[files[0]]


def _output_names(outputs: Sequence[ChannelFile], target: Path) -> tuple[str, ...]:
    """Names by the endings of the files; without such by the channels of a target."""
    if outputs:
        endings = tuple(file.ending for file in outputs)
        bare = tuple(ending.strip("_-. ") or ending for ending in endings)
        return bare if len(set(bare)) == len(bare) else endings
    count = read_page(target, 0).shape[-1]
    return ("value",) if count == 1 else tuple(f"value{n}" for n in range(1, count + 1))
