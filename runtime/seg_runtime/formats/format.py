"""Base classes of file formats: recognizing and reading files, the position of their pixels, and the results to
write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Protocol

import numpy as np

from ..model import MAX_PIXELS, Acquisition, ChannelFile, Contract, Voxels
from ..pipeline import Array, Float
from ..support import ImageError, SegError, described_size, is_pixel_size

HEAD = 4096
"""Number of bytes at the beginning of a file from which formats recognize it."""
Failures = list[tuple[Path, SegError]]


@dataclass(frozen=True)
class Place:
    """The position of the pixels of an image in space. This base class has no position.

    Attributes:
        spacing_mm: size of a pixel or voxel along each axis of the array; None if unknown.
    """

    spacing_mm: tuple[float, ...] | None = None

    @classmethod
    def of(cls, image: Acquisition, axes: int) -> Place:
        """Return the place of an image whose position is unknown; its size is known if that of each axis is."""
        return cls(image.spacing_mm if len(image.spacing_mm) == axes else None)

    def stored(self, values: Array) -> Array:
        """Convert values `(*spatial, …)` from the network's axis order to that of the file; returns a view."""
        return values

    @property
    def stored_spacing_mm(self) -> tuple[float, ...] | None:
        """`spacing_mm` in the axis order of the file."""
        return self.spacing_mm

    def same_as(self, other: Place) -> bool:
        """Return whether both images have the same grid in space, as far as it is known."""
        return True


@dataclass(frozen=True)
class Page:
    """One image, page or volume of a file.

    Attributes:
        array: `(*spatial, C)` uint8, uint16 or float32.
        name: name for errors, such as the path of its file; the record uses the part after the last slash.
        place: its position in space.
        note: what the user should know about how the values were read; empty for nothing.
        acquisition: how it was acquired.
    """

    array: Array
    name: str
    place: Place = field(default_factory=Place)
    note: str = ""
    acquisition: Acquisition = field(default_factory=Acquisition)

    def with_spacing(self, spacing_mm: tuple[float, ...]) -> Page:
        """Return the page with pixels of another size.

        Args:
            spacing_mm: sides of a pixel in mm, along each spatial axis; one is that of all axes; empty changes nothing.

        Raises:
            ImageError: the page has another number of axes, or a pixel cannot have such sides.
        """
        axes = self.array.ndim - 1
        if not spacing_mm:
            return self
        if not is_pixel_size(*spacing_mm):
            problem = f"the pixel size of {self.name} is {described_size(spacing_mm)}, which cannot be"
            raise ImageError(problem, "sides in mm, such as 0.00025", "check the numbers and their unit")
        if len(spacing_mm) not in (1, axes):
            problem = f"{self.name} has {axes} axes, but the pixel size has {len(spacing_mm)}"
            raise ImageError(problem, "", "give one side, or one for each axis")
        sides = spacing_mm if len(spacing_mm) == axes else spacing_mm * axes
        acquisition = replace(self.acquisition, spacing_mm=sides, spacing_doubt="")
        return replace(self, place=replace(self.place, spacing_mm=sides), acquisition=acquisition)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read the pages of a file.

    Attributes:
        axes: number of spatial axes of the model; with 3, the pages of a stack form one volume.
        voxels: voxel grid of a structure model.
        max_pixels: refuse a file with more px in all pages.
        indices: read the stored values of palette and 1-bit images, as needed for masks, instead of their colours.
    """

    axes: int = 2
    voxels: Voxels | None = None
    max_pixels: int = MAX_PIXELS
    indices: bool = False

    @classmethod
    def of(cls, contract: Contract, max_pixels: int = MAX_PIXELS) -> ReadOptions:
        """Return the options for a model."""
        return cls(axes=contract.geometry.axes, voxels=contract.input.voxels, max_pixels=max_pixels)


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What to permit in files that belong together, such as the slices of a series.

    Attributes:
        allow_missing: leave out files that cannot be used or that belong to another patient, and permit missing slices.
        allow_irregular: permit slices that are not on a regular grid.
        max_pixels: see `ReadOptions`.
    """

    allow_missing: bool = False
    allow_irregular: bool = False
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Source:
    """One image to segment: its files and how to read them.

    Attributes:
        path: path for errors: the file, or the folder of a series.
        stem: start of the names of its results, relative to the output folder.
        files: the files to read, in order.
        format: format that reads them.
        channel_files: channel files of the contract, if each file is a channel; empty if one file holds all channels.
        pages: number of pages of all files; None if unknown before they are read.
        joinable: whether its file may be a channel of a case.
    """

    joinable: ClassVar[bool] = True

    path: Path
    stem: Path
    files: tuple[Path, ...]
    format: Format
    channel_files: tuple[ChannelFile, ...] = ()
    pages: int | None = None


class PageResult(Protocol):
    """The result for one page, see `segmenter.Segmentation`."""

    answer: Array
    image: Array
    record: dict[str, Any]
    contract: Contract
    place: Place
    has_probabilities: bool

    @property
    def labels(self) -> Array:
        """`(*spatial)` uint8 class indices."""

    @property
    def objects(self) -> Array:
        """`(*spatial)` int32 ids of objects."""

    @property
    def probabilities(self) -> Float:
        """`(K, *spatial)` float32, 0..1."""

    @property
    def measurements(self) -> Mapping[str, Array]:
        """Column -> `(n,)`, the measures of each object."""


Write = Callable[[BinaryIO], object]
"""Writes to an open file that has a name."""


class Prepared(NamedTuple):
    """A result file that is ready to be written.

    Attributes:
        suffix: suffix of the file.
        write: writes its content.
        record: entries of the record about the file, see `Format.record`.
    """

    suffix: str
    write: Write
    record: Mapping[str, Mapping[str, Any]] = {}


Prepare = Callable[[Sequence[PageResult], Source], tuple[str, Write] | Prepared]
"""Takes the results of all pages of a source; returns the suffix of the file and a function that writes it. Errors are
raised here, before anything is written."""


@dataclass(frozen=True)
class Output:
    """A result file of an image.

    Attributes:
        key: key in the record; the file's name is NAME_KEY, with the key up to its first underscore.
        suffixes: suffixes that the file may have.
        prepare: creates the content.
    """

    key: str
    suffixes: tuple[str, ...]
    prepare: Prepare


def _prepare_npy(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    """Prepare probabilities: `(K, *spatial)` for one page, in the axis order of its file, `(P, K, H, W)` for
    several."""
    pages = [np.stack([r.place.stored(plane) for plane in r.probabilities]) for r in results]
    if len({p.shape for p in pages}) > 1:
        raise SegError("the pages differ in size", "pages of one size for NPY", "use --probabilities tiff")
    values = pages[0] if len(pages) == 1 else np.stack(pages)
    return ".npy", lambda file: np.save(file, values)


NPY = Output("probabilities_npy", (".npy",), _prepare_npy)


class Format(ABC):
    """A file format. Other packages add instances with entry points of the group `seg_edge.formats`.

    Attributes:
        title: name of a file of this format in errors, such as "a NIfTI volume".
        suffixes: suffixes of its files, in lower case.
        axes: number of spatial axes of a page: 2 for an image, 3 for a volume.
        by_content: whether files in folders are recognized by content, whatever their suffix.
        deferred: whether a file is read only when it is needed, because it may fill the memory.
        drawn: whether overlays are drawn by default.
        private: whether files may contain personal data, so that messages of libraries are not shown.
    """

    title: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    axes: ClassVar[int] = 2
    by_content: ClassVar[bool] = False
    deferred: ClassVar[bool] = False
    drawn: ClassVar[bool] = False
    private: ClassVar[bool] = False

    @property
    def one_at_a_time(self) -> bool:
        """Whether to write the results of a file before the next one is segmented, because volumes may fill the
        memory."""
        return self.axes == 3

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Return whether a file that begins with `head`, up to `HEAD` bytes, has this format; False if this is
        unclear."""

    def named(self, name: str | Path) -> bool:
        """Return whether a file has a suffix of this format."""
        return str(name).lower().endswith(self.suffixes)

    def fits(self, contract: Contract) -> bool:
        """Return whether a model takes such files: all except structure models take images and volumes."""
        return contract.input.voxels is None

    @abstractmethod
    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Read the pages of a file.

        Args:
            data: content of the file.
            name: path or name of the file, for errors.
            options: how to read the pages.

        Raises:
            ImageError: the file cannot be read or is too large.
            SegError: a package that reads it is not installed.
        """

    def stored_channels(self, path: Path) -> int | None:
        """Return the number of channels in the header of a file that may hold all channels of a case; else None."""
        return None

    def acquisition(self, path: Path) -> Acquisition:
        """Return how the image of a file was acquired, from its header; raises the errors of `read`."""
        return Acquisition()

    def sources(
        self,
        files: Sequence[Path],
        folder: Path | None,
        options: SourceOptions = SourceOptions(),
    ) -> tuple[list[Source], Failures]:
        """Return the sources of files, one per file, and the files that fail.

        Args:
            files: files of this format.
            folder: folder that they were found in, whose structure the results keep; None for files named by the user.
            options: what to permit.
        """
        found = []
        for path in files:
            inside = path.parent.relative_to(folder) if folder else Path()
            found.append(Source(path, inside / stem_of(path), (path,), self))
        return found, []

    @abstractmethod
    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the outputs for results, by the name of the form; the first one is the default.

        Args:
            data: type of the results, `labels`, `values` or `objects`, see `answers.Answer`.
            source: the input.

        Returns:
            The outputs; empty if the format cannot hold such results.
        """

    def probabilities(self) -> Mapping[str, Output]:
        """Return the outputs for probabilities, by the name of the form."""
        return {"npy": NPY}

    def record(self, source: Source, results: Sequence[PageResult]) -> dict[str, Any]:
        """Return further entries of an image's record; existing entries are updated."""
        return {}

    def note(self, source: Source) -> str:
        """Return a note about the results of a source; empty if there is none."""
        return ""


def stem_of(path: Path) -> str:
    """Return the name of a file without its suffix, where `.gz` is part of the suffix, as in `.nii.gz` and
    `.pdb.gz`."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem
