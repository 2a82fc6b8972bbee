"""Images with images as their truth: what a regression learns, value by value.

    images/NAME.tif       what is looked at; also images/NAME_red.tif, NAME_pan.tif and so on, a channel each
    targets/NAME.tif      what is to be answered, of any values; also targets/NAME_nuclei.tif and so on, an output each

Both may be stacks of as many pages, each page a case of its own. Channels that are files may be coarser than the finest
one by a whole factor, as the bands of a satellite are than its panchromatic channel: `_red*4` is enlarged four times.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seg_runtime.formats import FORMATS, group, stacked
from seg_runtime.model.input import ChannelFile
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError, ImageError, SegError

from ..case import Case, Example
from ..folder import ClassValues, by_stem, read_image
from .stacks import opened_stack

PARTS = ("images", "targets")
STACKS = (".tif", ".tiff")  # what may hold several pages


@dataclass(frozen=True)
class TargetCase(Case):
    """A page of an image with the same page of its targets."""

    name: str
    image_files: tuple[Path, ...]
    target_files: tuple[Path, ...]
    page: int
    channels: tuple[ChannelFile, ...]
    names: tuple[str, ...]

    @property
    def channel_files(self) -> tuple[ChannelFile, ...]:
        """The image's files, where each is a channel."""
        return self.channels

    @property
    def outputs(self) -> tuple[str, ...]:
        """One a channel of the target, or a target file each."""
        return self.names

    def image(self) -> Array:
        """`(H, W, C)`."""
        return _joined(self.image_files, self.page, self.channels)

    def values(self) -> dict[int, str]:
        """There are none."""
        return {}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and targets.

        Raises:
            DataError: they differ in size, or a target has another number of channels than the first one.
        """
        targets = _joined(self.target_files, self.page)
        if targets.shape[-1] != len(self.names):
            came = f"the target of {self.name} has {targets.shape[-1]} channels"
            raise DataError(came, f"{len(self.names)} as the first one has", "export them again")
        return Example.of_values(self.image(), targets).checked(self.name)


def find_targets(root: Path, report: Callable[[str], None], targets: str = "", images: str = "") -> list[TargetCase]:
    """The cases that have targets, a page each.

    Args:
        root: the folder of `images` and `targets`.
        report: told about images without targets and targets without an image.
        targets: how the names of the outputs' files end, in order: `_nuclei+_membrane`; empty where one file holds all.
        images: how those of the channels' files end: `_red*4+_green*4+_pan`; empty where one file holds all.

    Raises:
        SegError: endings twice, or factors that no file is the finest by.
        DataError: no such folders, none that match, or stacks of different numbers of pages.
        ImageError: a case lacks a file, or one cannot be read.
    """
    layout = "images/NAME.* with targets/NAME.*"
    for part in PARTS:
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}", layout, "point to the folder that holds them")
    channels, outputs = _channels(images), _channels(targets)
    if any(file.factor > 1 for file in outputs):
        raise SegError(f"the reader targets with targets={targets}", "targets of the image's own size", "leave * out")
    pictures, truths = (_files(root / part, files) for part, files in zip(PARTS, (channels, outputs), strict=True))
    both = sorted(pictures.keys() & truths.keys())
    for found, what in ((pictures, "images without a target"), (truths, "targets without an image")):
        if lone := sorted(found.keys() - set(both)):
            report(f"{len(lone)} {what}, left out: {', '.join(lone[:5])}{' …' if len(lone) > 5 else ''}")
    if not both:
        raise DataError(f"no image in {root / 'images'} has the name of a target", layout, "rename them")
    endings = tuple(file.ending for file in outputs)
    bare = tuple(e.strip("_-. ") or e for e in endings)
    names = (bare if len(set(bare)) == len(bare) else endings) or _channel_names(truths[both[0]][0])
    cases: list[TargetCase] = []
    for name in both:
        count = _pages(name, (*pictures[name], *truths[name]))
        titles = [name] if count == 1 else [f"{name}_page{n:0{len(str(count - 1))}}" for n in range(count)]
        cases += [
            TargetCase(title, pictures[name], truths[name], page, channels, names) for page, title in enumerate(titles)
        ]
    if twice := sorted(name for name, count in Counter(case.name for case in cases).items() if count > 1):
        raise DataError(
            f"two cases have the name {twice[0]}, a page of a stack and a file", "one name each", "rename the file"
        )
    return cases


def _channels(text: str) -> tuple[ChannelFile, ...]:
    """`_red*4+_pan` -> the endings and their factors."""
    parts = [re.fullmatch(r"([^*]+)(?:\*([1-9]\d?))?", part) for part in text.split("+")] if text else []
    found = tuple(ChannelFile(part[1], int(part[2] or 1)) for part in parts if part)
    if len({file.ending for file in found}) < len(parts) or min((file.factor for file in found), default=1) > 1:
        wanted = "how their names end, each once, the finest without a factor"
        raise SegError(f"the reader targets with {text}", wanted, "such as _red*4+_green*4+_pan")
    return found


def _files(folder: Path, channels: Sequence[ChannelFile]) -> dict[str, tuple[Path, ...]]:
    """The files of each case, by its name."""
    if not channels:
        return {name: (path,) for name, path in by_stem(folder).items()}
    paths = [p for p in sorted(folder.iterdir()) if FORMATS.is_picture(p) and not p.name.startswith(".")]
    cases, failed = group(paths, channels)
    if failed:
        raise failed[0][1]
    return {case.name: files for case, files in cases.items()}


def _pages(name: str, files: Sequence[Path]) -> int:
    counts = {path: _page_count(path) for path in files}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path.parent.name}/{path.name} {count}" for path, count in counts.items())
        raise DataError(f"the pages of {name} are {listed}", "as many in each file", "export them again")
    return counts[files[0]]


def _page_count(path: Path) -> int:
    if path.suffix.lower() not in STACKS:
        return 1
    return len(opened_stack(path))


def _joined(files: Sequence[Path], page: int, channels: Sequence[ChannelFile] = ()) -> Array:
    planes = [_page(path, page) for path in files]
    return planes[0] if len(planes) == 1 else stacked(planes, [str(path) for path in files], channels)


def _page(path: Path, page: int) -> Array:
    if path.suffix.lower() not in STACKS:
        return read_image(path)
    pages = opened_stack(path)
    if page >= len(pages):
        raise ImageError(f"{path} has no page {page + 1}", "the pages that it had", "do not change it meanwhile")
    return pages[page]


def _channel_names(path: Path) -> tuple[str, ...]:
    count = _page(path, 0).shape[-1]
    return ("value",) if count == 1 else tuple(f"value{n}" for n in range(1, count + 1))
