"""Readers by name. Each reads the folder of a data set in its public layout and returns a DataSet.

Options follow the name after a colon: `pairs`, `pets:split=test`, or `pets:test` because `split` is its first option.
They are the keyword arguments of the reader. Every reader of masks also takes `ring`, see `ring.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seg_runtime.support import DataError, Registry, SegError

from .. import DataSet, Report, with_ring
from .channels import find_channels
from .isic import find_isic
from .pairs import find_pairs
from .pets import find_pets
from .siim import find_siim
from .stacks import find_stacks
from .structure import find_structures
from .targets import find_targets
from .tracking import find_tracking
from .volumes import find_brats, find_decathlon, find_sparse

Reader = Callable[..., DataSet]
"""Takes the folder, a `Report` and options as strings; raises DataError if the folder has another layout."""

PAIRS = "pairs"
READERS: Registry[Reader] = Registry(
    "seg_edge.readers",
    "reader",
    {
        PAIRS: find_pairs,
        "brats": find_brats,
        "cell-tracking": find_tracking,
        "channels": find_channels,
        "isbi2012": find_stacks,
        "isic": find_isic,
        "nifti": find_decathlon,
        "pets": find_pets,
        "siim": find_siim,
        "sparse": find_sparse,
        "structure": find_structures,
        "targets": find_targets,
    },
    lambda name, thing: "" if callable(thing) else "it cannot be called",
)


def read_data_set(reader: str, root: Path, report: Report) -> DataSet:
    """Read a data set, with its cases sorted by name.

    Args:
        reader: `NAME` or `NAME:OPTION=VALUE,…`.
        root: folder of the data set.
        report: called with a message about files without a match.

    Raises:
        SegError: if the reader or an option is unknown, or a ring is used without masks.
        DataError: if `root` does not have the layout of the reader; the message describes that layout.
    """
    name, _, text = reader.partition(":")
    find = READERS.get(name, "choose one of them for --reader")
    options = _options(reader, text, find)
    ring = options.pop("ring", None)
    found = find(root, report, **options)
    if not isinstance(found, DataSet):
        problem = f"the reader {name} returned {type(found).__name__}"
        raise SegError(problem, "a DataSet", "report it to the authors of the package that offers the reader")
    if not found.cases:
        raise DataError(f"the reader {name} found no images in {root}", "", "check the folder and the layout")
    found = replace(found, cases=tuple(sorted(found.cases, key=lambda case: case.name)), reader=reader)
    return found if ring is None else with_ring(found, ring)


def _options(reader: str, text: str, find: Reader) -> dict[str, str]:
    """Convert `a=1,b=2` to keyword arguments of a reader. A value without a name belongs to the first argument."""
    known = [*list(inspect.signature(find).parameters)[2:], "ring"]
    options: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals and len(known) > 1:
            key, value = known[0], part
        if key not in known or key in options:
            problem = f"--reader {reader} has an unknown or repeated option"
            raise SegError(problem, f"{', '.join(known)}, each once", "write it like NAME:OPTION=VALUE")
        options[key] = value
    return options
