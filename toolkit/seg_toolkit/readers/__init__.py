"""Data sets in their public layouts: one reader a file, each from a folder to its cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seg_runtime.errors import SegError

from ..case import Case
from ..folder import find_cases as find_pairs

Report = Callable[[str], None]
Reader = Callable[[Path, Report], Sequence[Case]]
"""Takes the folder and whoever is told of files that match nothing; raises DataError for a folder in another layout."""

READERS: dict[str, Reader] = {"pairs": find_pairs}


def find_cases(reader: str, root: Path, report: Report) -> list[Case]:
    """The cases of a data set, sorted by name.

    Raises:
        SegError: an unknown reader.
        DataError: `root` is not in the reader's layout; says what was looked for.
    """
    if reader not in READERS:
        raise SegError(f"--reader {reader}", ", ".join(READERS), "choose one of them")
    return sorted(READERS[reader](root, report), key=lambda case: case.name)
