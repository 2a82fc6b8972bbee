"""What a file format is: how its files are recognised and read, where their pixels lie, what is written beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import numpy as np

from ..model import MAX_PIXELS, ChannelFile, Contract, Voxels
from ..pipeline import Array, Float
from ..support import SegError

HEAD = 4096
"""Bytes at the beginning of a file by which a format recognises it."""
Failures = list[tuple[Path, SegError]]


@dataclass(frozen=True)
class Place:
    """Where the pixels of an image lie in the world; this one does not know.

    Attributes:
        spacing_mm: size of a pixel or voxel along each axis of the array, None where it is not known.
    """

    spacing_mm: tuple[float, ...] | None = None

    def stored(self, values: Array) -> Array:
        """Values `(*spatial)` as the network sees them -> in the order of the file; a view."""
        return values

    def same_as(self, other: Place) -> bool:
        """Whether both images have the same grid in the world, as far as that is known."""
        return True


@dataclass(frozen=True)
class Page:
    """One image, page or volume of a file.

    Attributes:
        array: `(*spatial, C)` uint8, uint16 or float32.
        name: what errors call it, such as the path of its file; the record takes what stands behind the last slash.
        place: where it lies.
    """

    array: Array
    name: str
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How the pages of a file are wanted.

    Attributes:
        axes: spatial axes of the model: with 3 the pages of a stack are one volume.
        voxels: of a model of structures the grid that they become.
        max_pixels: refuse a file with more px, all pages counted.
        indices: give the stored values of palette and 1-bit pictures, as masks want, not their colours.
    """

    axes: int = 2
    voxels: Voxels | None = None
    max_pixels: int = MAX_PIXELS
    indices: bool = False

    @classmethod
    def of(cls, contract: Contract, max_pixels: int = MAX_PIXELS) -> ReadOptions:
        """As a model wants them."""
        return cls(axes=contract.geometry.axes, voxels=contract.input.voxels, max_pixels=max_pixels)


@dataclass(frozen=True)
class Source:
    """One image to segment: its files and how they are read.

    Attributes:
        path: what errors quote: the file, or the folder of a series.
        stem: of its results, relative to the folder for them.
        files: all that is read, in order.
        format: that reads them.
        channel_files: of the contract, where each file is a channel of the image; empty where one file holds all.
        pages: how many its files hold; None where reading them tells.
        joinable: whether its file may be one channel of a case.
    """

    joinable: ClassVar[bool] = True

    path: Path
    stem: Path
    files: tuple[Path, ...]
    format: Format
    channel_files: tuple[ChannelFile, ...] = ()
    pages: int | None = None


class Answered(Protocol):
    """One page that was segmented, see `segmenter.Segmentation`."""

    answer: Array
    image: Array
    record: dict[str, Any]
    contract: Contract
    place: Place

    @property
    def probabilities(self) -> Float:
        """`(K, *spatial)` float32, 0..1."""


Write = Callable[[BinaryIO], object]
"""Writes into an open file that has a name."""
Prepare = Callable[[Sequence[Answered], Source], tuple[str, Write]]
"""Takes the answers to all pages of a source; gives the suffix of the file and what writes it. What can fail fails here, before
anything is written."""


@dataclass(frozen=True)
class Output:
    """A file that is written beside an image.

    Attributes:
        key: in the record; NAME_KEY is the file's name, up to the first underscore of the key.
        suffixes: that the file can have.
        prepare: makes it.
    """

    key: str
    suffixes: tuple[str, ...]
    prepare: Prepare


def _prepare_npy(results: Sequence[Answered], source: Source) -> tuple[str, Write]:
    """Probabilities: `(K, *spatial)` of one page in the order of its file, `(P, K, H, W)` of several."""
    pages = [np.stack([r.place.stored(plane) for plane in r.probabilities]) for r in results]
    if len({p.shape for p in pages}) > 1:
        raise SegError("the pages differ in size", "one size for a stack in NPY", "use --probabilities tiff")
    values = pages[0] if len(pages) == 1 else np.stack(pages)
    return ".npy", lambda file: np.save(file, values)


NPY = Output("probabilities_npy", (".npy",), _prepare_npy)


class Format(ABC):
    """A kind of file. Another package adds one by an entry point of the group `seg_edge.formats` that names an instance.

    Attributes:
        title: what a file of it is, for errors: "a NIfTI volume".
        suffixes: of its files, in lower case.
        axes: spatial axes of one page: 2 of a picture, 3 of a volume.
        by_content: whether files of folders belong to it whatever their suffix is.
        deferred: whether files are read only when their turn has come, since one may fill the memory.
        private: whether a file may name a person, so that errors of libraries are not quoted.
    """

    title: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    axes: ClassVar[int] = 2
    by_content: ClassVar[bool] = False
    deferred: ClassVar[bool] = False
    private: ClassVar[bool] = False

    @property
    def one_at_a_time(self) -> bool:
        """Whether the results of a file are written before the next one is segmented: those of a volume may fill the memory."""
        return self.axes == 3

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with `head`, up to `HEAD` bytes, is of this format; False where that cannot be told."""

    def named(self, name: str | Path) -> bool:
        """Whether a file has a suffix of this format."""
        return str(name).lower().endswith(self.suffixes)

    def fits(self, contract: Contract) -> bool:
        """Whether a model takes such files: all but models of structures take images and volumes."""
        return contract.input.voxels is None

    @abstractmethod
    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """The pages of a file.

        Args:
            data: the file's content.
            name: its path or name, which errors quote.
            options: how they are wanted.

        Raises:
            ImageError: it cannot be read, or is too large.
            SegError: a package that reads it is not installed.
        """

    def stored_channels(self, path: Path) -> int | None:
        """Channels that one file holds, by its header, where it may hold those that a model has a file each for; else None."""
        return None

    def sources(self, files: Sequence[Path], folder: Path | None) -> tuple[list[Source], Failures]:
        """The images that files are, one each, and the files that are none.

        Args:
            files: of this format.
            folder: that was opened, whose structure the results keep; None for files that were named.
        """
        found = []
        for path in files:
            inside = path.parent.relative_to(folder) if folder else Path()
            found.append(Source(path, inside / stem_of(path), (path,), self))
        return found, []

    @abstractmethod
    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """How answers are written, by the name of the form; the first is written when nobody asks for another.

        Args:
            data: what they are: `labels` or `values`, see `answers.Answer`.
            source: that was answered.

        Returns:
            Empty where the format has no place for such answers.
        """

    def probabilities(self) -> Mapping[str, Output]:
        """How probabilities are written, by the name of the form."""
        return {"npy": NPY}

    def record(self, source: Source, results: Sequence[Answered]) -> dict[str, Any]:
        """What the record of an image says besides, by entry; entries that it has already are updated."""
        return {}

    def note(self, source: Source) -> str:
        """What is to be known about the results of a source, empty for nothing."""
        return ""


def stem_of(path: Path) -> str:
    """The name of a file without its suffix; `.gz` is a part of the one before it, as in `.nii.gz` and `.pdb.gz`."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem
