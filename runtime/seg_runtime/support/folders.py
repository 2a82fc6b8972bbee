"""What lies in a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import DataError, SegError

SHOWN = 5  # names in a message


def list_files(
    folder: Path, recursive: bool = False, unreadable: list[tuple[Path, SegError]] | None = None
) -> list[Path]:
    """The files of a folder, sorted, then those of its folders, without hidden files; empty where there is no such folder.

    Args:
        folder: to look into.
        recursive: look into folders of folders, too.
        unreadable: receives folders that cannot be read, each with its error; None raises the first one.

    Raises:
        DataError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return
        place = Path(error.filename)
        problem = f"{place} cannot be read ({error.strerror})"
        refused = DataError(problem, "a readable folder", "check its permissions")
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
    """Names for a message: the first few of them, and three dots where there are more."""
    return f"{', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
