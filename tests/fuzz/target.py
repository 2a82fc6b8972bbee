"""What a target is, and the list of all targets."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Pack = Callable[[bytes], bytes]
Run = Callable[[bytes], object]

MODULES = {
    "models": ("contract", "model", "golden", "record"),
    "pictures": ("png", "jpeg", "gif", "webp", "jpeg2000", "bmp", "netpbm"),
    "tiff": ("tiff", "tiff-described"),
    "dicom": ("dicom", "dicom-seg"),
    "volumes": ("nifti", "nifti-pair"),
    "structures": ("pdb", "cif"),
    "training": ("checkpoint", "state", "options"),
}
"""Module in `targets/` -> its targets. The metadata of readers, such as `dataset.json`, COCO and LabelMe, go to `training`."""
CONTROLS = {"controls": ("raises", "prints", "fills", "hides", "rambles", "crashes", "hangs")}
"""Targets that fail, to see that failures are noticed."""


def as_is(content: bytes) -> bytes:
    return content


@dataclass(frozen=True)
class Seed:
    """A valid content to damage.

    Attributes:
        content: what is damaged.
        pack: makes the file of it, such as gzip, so that checksums are right again.
    """

    content: bytes
    pack: Pack = as_is


@dataclass(frozen=True)
class Target:
    """A function that must not fail, and the inputs to start with.

    Attributes:
        run: takes the content of a file; may raise `SegError` only.
        seeds: makes the corpus.
        most_mib: memory that one input may take.
    """

    run: Run
    seeds: Callable[[], Mapping[str, Seed]]
    most_mib: int = 96


def load(name: str) -> Target:
    """Import a target."""
    module = next(module for module, listed in (MODULES | CONTROLS).items() if name in listed)
    targets: dict[str, Target] = importlib.import_module(f"tests.fuzz.targets.{module}").TARGETS
    return targets[name]


def names() -> list[str]:
    return [name for listed in MODULES.values() for name in listed]


def in_folder(use: Callable[[Path], object], name: str) -> Run:
    """A target that reads a file `name` by its path."""

    def run(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            return use(path)

    return run
