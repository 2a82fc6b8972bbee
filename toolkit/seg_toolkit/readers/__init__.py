"""Data sets in their public layouts: one reader a file, each from a folder to its cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

from seg_runtime.errors import SegError

from ..case import Case
from ..folder import find_cases as find_pairs
from .brats import find_cases as find_brats
from .nifti import find_cases as find_nifti
from .sparse import find_cases as find_sparse

Report = Callable[[str], None]
Reader = Callable[..., Sequence[Case]]
"""Takes the folder, whoever is told of files that match nothing, and, where it knows one, what stands after a colon in
`--reader NAME:ARGUMENT`; raises DataError for a folder in another layout."""

READERS: dict[str, Reader] = {
    "pairs": find_pairs,
    "nifti": find_nifti,
    "brats": find_brats,
    "sparse": find_sparse,
}


def find_cases(reader: str, root: Path, report: Report) -> list[Case]:
    """The cases of a data set, sorted by name.

    Raises:
        SegError: an unknown reader, or an argument that it does not take.
        DataError: `root` is not in the reader's layout; says what was looked for.
    """
    name, colon, argument = reader.partition(":")
    if name not in READERS:
        raise SegError(f"--reader {reader}", ", ".join(READERS), "choose one of them")
    if colon and len(inspect.signature(READERS[name]).parameters) < 3:
        raise SegError(f"--reader {reader}", f"{name} without an argument", "leave the colon out")
    found = READERS[name](root, report, argument) if colon else READERS[name](root, report)
    return sorted(found, key=lambda case: case.name)
