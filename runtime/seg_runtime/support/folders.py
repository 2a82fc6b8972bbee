"""What lies in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import DataError

SHOWN = 5  # names in a message


def list_files(folder: Path, recursive: bool = False) -> list[Path]:
    """The files of a folder, sorted by their paths, without hidden ones; empty where there is no such folder.

    Args:
        folder: to look into.
        recursive: look into folders of folders, too.

    Raises:
        DataError: it cannot be read.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            came = f"{folder} cannot be read ({error.strerror})"
            raise DataError(came, "a readable folder", "check its permissions") from error

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        if not recursive:
            folders.clear()
        found += [Path(place) / name for name in sorted(files) if not name.startswith(".")]
    return found


def named(names: Sequence[str]) -> str:
    """Names for a message: the first few of them, and three dots where there are more."""
    return f"{', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
