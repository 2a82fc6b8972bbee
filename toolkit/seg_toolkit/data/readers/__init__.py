"""Data sets in their public layouts: one reader a file, each from a folder to its cases.

A reader is asked for by its name, with options of its own after a colon: `pairs`, `pets:split=test`, or `pets:test`, as
`split` is its first. Every reader of images with a mask takes `ring`, see `ring.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seg_runtime.support.errors import SegError

from ..case import Case
from ..folder import find_cases as find_pairs
from ..ring import with_ring
from .channels import find_channels
from .isic import find_isic
from .pets import find_pets
from .siim import find_siim
from .stacks import find_stacks
from .structure import find_structures
from .targets import find_targets
from .tracking import find_tracking
from .volumes.brats import find_cases as find_brats
from .volumes.nifti import find_cases as find_nifti
from .volumes.sparse import find_cases as find_sparse

Report = Callable[[str], None]
Reader = Callable[..., Sequence[Case]]
"""Takes the folder, whoever is told of files that match nothing, and its options, which are texts; raises DataError for a
folder in another layout."""

PAIRS, STRUCTURE = "pairs", "structure"
READERS: dict[str, Reader] = {
    PAIRS: find_pairs,
    "brats": find_brats,
    "cell-tracking": find_tracking,
    "channels": find_channels,
    "isbi2012": find_stacks,
    "isic": find_isic,
    "nifti": find_nifti,
    "pets": find_pets,
    "siim": find_siim,
    "sparse": find_sparse,
    STRUCTURE: find_structures,
    "targets": find_targets,
}


def find_cases(reader: str, root: Path, report: Report) -> list[Case]:
    """The cases of a data set, sorted by name.

    Args:
        reader: `NAME` or `NAME:OPTION=VALUE,…`.
        root: the data set's folder.
        report: told about files that match nothing.

    Raises:
        SegError: an unknown reader or option.
        DataError: `root` is not in the reader's layout; says what was looked for.
    """
    name, _, text = reader.partition(":")
    if name not in READERS:
        raise SegError(f"--reader {reader}", ", ".join(READERS), "choose one of them")
    options = _options(reader, text, READERS[name])
    ring = options.pop("ring", None)
    cases = sorted(READERS[name](root, report, **options), key=lambda case: case.name)
    return cases if ring is None else with_ring(cases, ring)


def _options(reader: str, text: str, found: Reader) -> dict[str, Any]:
    """`a=1,b=2` as keyword arguments of a reader; a value alone is that of its first."""
    known = [*list(inspect.signature(found).parameters)[2:], "ring"]
    options: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals and len(known) > 1:
            key, value = known[0], part
        if key not in known or key in options:
            raise SegError(f"--reader {reader}", f"options of it, each once: {', '.join(known)}", "NAME:OPTION=VALUE")
        options[key] = value
    return options
