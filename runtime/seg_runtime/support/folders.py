"""List the files of a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import DataError, SegError

SHOWN = 5  # names in a message


def list_files(
    folder: Path, recursive: bool = False, unreadable: list[tuple[Path, SegError]] | None = None
) -> list[Path]:
    """List the files of a folder, sorted, then those of its subfolders.

    Hidden files are left out. The list is empty if the folder does not exist.

    Args:
        folder: the folder to list.
        recursive: whether to include subfolders.
        unreadable: receives folders that cannot be read, each with its error; if None, the first error is raised.

    Raises:
        DataError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return
        place = Path(error.filename)
        refused = DataError(f"{place} cannot be read ({error.strerror})", "", "check the folder's permissions")
        if unreadable is None:
            raise refused from error
        unreadable.append((place, refused))

    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        if not recursive:
            folders.clear()
        found += [Path(place) / name for name in sorted(files) if not name.startswith(".")]
    return found


def named(names: Sequence[str]) -> str:
    """Join names for a message: the first few, then an ellipsis if there are more."""
    return f"{', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
