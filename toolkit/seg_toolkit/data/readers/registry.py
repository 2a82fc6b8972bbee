"""Readers by name. Each reads the folder of a data set in its public layout and returns a DataSet.

Options follow the name after a colon: `pairs`, `pets:split=test`, or `pets:test` because `split` is its first option.
They are the keyword arguments of the reader. Every reader of masks also takes `ring`, see `ring.py`; `ignore`, see
`ignore.py`; `snap`, see `snap.py`; and `masks=instances` or `masks=alpha`, see `Case.with_masks`. All readers take
`pixel-size`, see `DataSet.with_pixel_size`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from seg_runtime.support import DataError, OptionsError, Registry, SegError

from .. import ALPHA, INSTANCES, DataSet, Report, with_ignored, with_ring, with_snapped
from .annotations import find_coco, find_labelme
from .channels import find_channels
from .isic import find_isic
from .nnunet import find_nnunet
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
        "coco": find_coco,
        "isbi2012": find_stacks,
        "isic": find_isic,
        "labelme": find_labelme,
        "nifti": find_decathlon,
        "nnunet": find_nnunet,
        "pets": find_pets,
        "siim": find_siim,
        "sparse": find_sparse,
        "structure": find_structures,
        "targets": find_targets,
    },
    lambda name, thing: "" if callable(thing) else "it cannot be called",
)


_MASKS = (INSTANCES, ALPHA)
_SHARED = ("masks", "ignore", "snap", "ring", "pixel-size")  # options of all readers


def read_data_set(reader: str, root: Path, report: Report, stated: Mapping[str, str] = MappingProxyType({})) -> DataSet:
    """Read a data set, with its cases sorted by name.

    Args:
        reader: `NAME` or `NAME:OPTION=VALUE,…`; empty to recognise the layout.
        root: folder of the data set.
        report: called with a message about files without a match.
        stated: options that replace those in `reader`.

    Raises:
        OptionsError: if the reader or an option is unknown.
        SegError: if an option for masks is used without masks.
        DataError: if `root` does not have the layout of the reader; the message describes that layout.
    """
    if not reader and (reader := recognised(root)):
        report(f"reader: {reader} (the layout of {root})")
    reader = reader or PAIRS  # whose errors describe the usual layout
    for key, value in stated.items():
        reader = with_option(reader, key, value)
    name, _, text = reader.partition(":")
    find = READERS.get(name, "choose one of them for --reader", OptionsError)
    options = _options(reader, text, find)
    shared = [options.pop(key, None) for key in _SHARED]
    masks, *others = shared
    found = find(root, report, **options)
    if not isinstance(found, DataSet):
        problem = f"the reader {name} returned {type(found).__name__}"
        raise SegError(problem, "a DataSet", "report it to the authors of the package that offers the reader")
    if not found.cases:
        raise DataError(f"the reader {name} found no images in {root}", "", "check the folder and the layout")
    if found.reader:  # the reader added options of its own
        reader = found.reader
        for key, given in zip(_SHARED, shared, strict=True):
            reader = reader if given is None else with_option(reader, key, given)
    found = replace(found, cases=tuple(sorted(found.cases, key=lambda case: case.name)), reader=reader)
    if masks is not None and masks not in _MASKS:
        raise OptionsError(f"--reader {reader} has masks={masks}", " or ".join(_MASKS), "correct the option")
    if masks is not None:
        found = found.with_masks(masks)
    for add, option in zip((with_ignored, with_snapped, with_ring, DataSet.with_pixel_size), others, strict=True):
        found = found if option is None else add(found, option)
    return found


def with_option(reader: str, key: str, value: str) -> str:
    """Set an option in a value of `--reader`."""
    name, _, text = reader.partition(":")
    others = [part for part in text.split(",") if part and part.partition("=")[0] != key]
    return f"{name}:{','.join([*others, f'{key}={value}'])}"


def fits(reader: str, root: Path) -> bool:
    """Whether a folder looks like the layout of a reader; False for readers that need options or do not say."""
    try:
        known = getattr(READERS.get(reader.partition(":")[0]), "fits", None)
        return known is not None and bool(known(root))
    except SegError:  # the folder, or the package that offers the reader, has a fault, which reading reports
        return False


def recognised(root: Path) -> str:
    """Return the reader whose layout a folder has; empty if there is none.

    Raises:
        DataError: if the folder has the layouts of several readers.
    """
    found = [name for name in READERS.names() if fits(name, root)]
    if len(found) > 1:
        problem = f"{root} has the layouts of the readers {' and '.join(found)}"
        raise DataError(problem, "", f"choose one: --reader {' or --reader '.join(found)}")
    return found[0] if found else ""


def _options(reader: str, text: str, find: Reader) -> dict[str, str]:
    """Convert `a=1,b=2` to keyword arguments of a reader. A value without a name belongs to the first argument."""
    own = list(inspect.signature(find).parameters)[2:]
    known = [*own, *_SHARED]
    options: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals and own:
            key, value = own[0], part
        if key not in known or key in options:
            problem = f"--reader {reader} has an unknown or repeated option"
            raise OptionsError(problem, f"{', '.join(known)}, each once", "write it like NAME:OPTION=VALUE")
        options[key] = value
    return options
