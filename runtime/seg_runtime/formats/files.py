"""The registry of formats, and functions that read files and detect their format."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..model import MAX_PIXELS, Contract
from ..support import ImageError, Registry, instance_of, open_file, read_file
from .dicom import Dicom
from .format import HEAD, Format, Page, ReadOptions
from .nifti import Nifti
from .nifti_pair import joined
from .pictures import READABLE, Pictures
from .structures import Structures


def read_bytes(path: Path) -> bytes:
    """Read the content of an image file.

    Raises:
        ImageError: the path does not exist, is a folder, cannot be read or is empty.
    """
    try:
        data = read_file(path)
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist", READABLE, "check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder", READABLE, "choose a file in it") from error
    except OSError as error:
        raise ImageError(
            f"{path} cannot be read ({error.strerror})", READABLE, "check the file and its permissions"
        ) from error
    if not data:
        raise ImageError(f"{path} is empty", "", "copy or export it again")
    return joined(path, data)


def head_of(path: Path) -> bytes:
    """Read the beginning of a file; empty if it cannot be read, which is reported when the whole file is read."""
    try:
        with os.fdopen(open_file(path), "rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


class Formats(Registry[Format]):
    """The registry of file formats."""

    def of(self, head: bytes, name: str | Path) -> Format:
        """Detect the format of a file from its content, else from its name; else `picture`, whose reader raises an
        error.

        Args:
            head: content of the file, or its first `HEAD` bytes.
            name: path or name of the file.
        """
        found = next((f for f in self.all() if self.recognised(f, head)), None)
        return found or next((f for f in self.all() if f.named(name)), self.get("picture"))

    def recognised(self, format: Format, head: bytes) -> bool:
        """Return whether a format recognizes a content; False if the format, which may be from another package,
        raises."""
        try:
            return format.recognises(head[:HEAD])
        except Exception:
            return False

    def of_model(self, contract: Contract) -> list[Format]:
        """Return the formats that a model takes."""
        return [f for f in self.all() if f.fits(contract)]

    def is_picture(self, name: str | Path) -> bool:
        """Return whether a file is named like a 2-D image with one page or several, not a volume or a structure."""
        return any(f.named(name) for f in self.all() if f.axes == 2)

    def check(self, found: Format, head: bytes, name: str, contract: Contract) -> None:
        """Check that a model takes files of a format.

        Args:
            found: the format, see `of`.
            head: content of the file, or its first `HEAD` bytes.
            name: path or name of the file, for errors.
            contract: contract of the model.

        Raises:
            ImageError: it does not; the error names the formats that it takes and, for a file of unknown format, a
                package that is broken.
        """
        guessed = found is self.get("picture") and not (found.named(name) or self.recognised(found, head))
        if guessed and (broken := self.broken()):
            raise ImageError(f"{name} has an unknown format, and {broken[0].problem}", "", broken[0].advice)
        if not found.fits(contract):
            known = " or ".join(f.title for f in self.of_model(contract))
            problem = f"{name} {'has an unknown format' if guessed else f'is {found.title}'}"
            raise ImageError(problem, f"{known}, like the training data", "choose another file or model")

    def pages(self, data: bytes, name: str, contract: Contract, max_pixels: int = MAX_PIXELS) -> Iterator[Page]:
        """Read the pages of a file one by one, in the form that a model takes.

        Args:
            data: content of the file.
            name: path or name of the file, for errors.
            contract: contract of the model.
            max_pixels: refuse a file with more px.

        Yields:
            `(H, W, C)` for each page of a 2-D image; `(D, H, W, C)` for a volume, for a structure, and for a TIFF with
            several pages if the model takes volumes.

        Raises:
            ImageError: the file cannot be read, has a format that the model does not take, or is a single image and the
                model takes volumes.
            SegError: a package that reads it is not installed.
        """
        found = self.of(data, name)
        self.check(found, data, name, contract)
        yield from found.read(data, name, ReadOptions.of(contract, max_pixels))


FORMATS = Formats(
    "seg_edge.formats",
    "file format",
    {"dicom": Dicom(), "nifti": Nifti(), "structure": Structures(), "picture": Pictures()},
    instance_of(Format),
)
