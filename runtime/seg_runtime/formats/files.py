"""The registry of formats, and files on disk: their content and their format."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from ..model import MAX_PIXELS, Contract
from ..support import ImageError, Registry, instance_of
from .dicom import Dicom
from .format import HEAD, Format, Page, ReadOptions
from .nifti import Nifti
from .pictures import READABLE, Pictures
from .structures import Structures


def read_bytes(path: Path) -> bytes:
    """The content of an image file.

    Raises:
        ImageError: missing, a folder, unreadable or empty.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ImageError(f"{path} is no regular file", READABLE, "copy it into one")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist", READABLE, "check the path") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder", READABLE, "name a file in it") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror})", READABLE, "check its permissions") from error
    if not data:
        raise ImageError(f"{path} is empty", "a file with something in it", "copy or export it again")
    return data


def head_of(path: Path) -> bytes:
    """The beginning of a file, empty where it cannot be read: that is told by whoever reads all of it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            return b""
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


class Formats(Registry[Format]):
    """All formats that are known."""

    def of(self, head: bytes, name: str | Path) -> Format:
        """The format of a file: by its content, else by its name, else a picture, whose reader says what is wrong.

        Args:
            head: the file's content, or its first `HEAD` bytes.
            name: its path or name.
        """
        found = next((f for f in self.all() if self.recognised(f, head)), None)
        return found or next((f for f in self.all() if f.named(name)), self.get("picture"))

    def recognised(self, format: Format, head: bytes) -> bool:
        """Whether a format recognises a content; one of another package that raises does not, and ends no work with other files."""
        try:
            return format.recognises(head[:HEAD])
        except Exception:
            return False

    def of_model(self, contract: Contract) -> list[Format]:
        """The formats that a model takes."""
        return [f for f in self.all() if f.fits(contract)]

    def is_picture(self, name: str | Path) -> bool:
        """Whether a file has the name of a picture, of one page or several; volumes and structures are none."""
        return any(f.named(name) for f in self.all() if f.axes == 2)

    def check(self, found: Format, head: bytes, name: str, contract: Contract) -> None:
        """Refuse a file of a format that the model does not take.

        Args:
            found: the format, see `of`.
            head: the file's content, or its first `HEAD` bytes.
            name: its path or name, which errors quote.
            contract: of the model.

        Raises:
            ImageError: says which it takes; of a file of no known format also which package is broken.
        """
        guessed = found is self.get("picture") and not (found.named(name) or self.recognised(found, head))
        if guessed and (broken := self.broken()):
            raise ImageError(f"{name} is of no known format, and {broken[0].problem}", "", broken[0].advice)
        if not found.fits(contract):
            known = " or ".join(f.title for f in self.of_model(contract))
            problem = f"{name} is {'of no known format' if guessed else found.title}"
            raise ImageError(problem, f"{known} as the model was trained", "name another file or model")

    def pages(self, data: bytes, name: str, contract: Contract, max_pixels: int = MAX_PIXELS) -> Iterator[Page]:
        """The pages of a file as a model wants them, one after the other.

        Args:
            data: the file's content.
            name: its path or name, which errors quote.
            contract: of the model.
            max_pixels: refuse a file with more px.

        Yields:
            `(H, W, C)` for each page of a picture; `(D, H, W, C)` of a volume, for any model; and of a TIFF of several
            pages for a model of volumes, and of a structure.

        Raises:
            ImageError: the file cannot be read, or is a single picture and the model wants volumes, or of a format that the
                model does not take.
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
