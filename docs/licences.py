"""Write docs/reference/licences.md from the metadata of the installed packages: `make licences`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "licences.md"
UNSTATED = {
    "coloredlogs": "MIT", "humanfriendly": "MIT", "importlib-resources": "Apache-2.0", "onnxruntime-gpu": "MIT",
    "onnxruntime-openvino": "MIT", "pyreadline3": "BSD-3-Clause", "sigstore-models": "MIT", "tomli": "MIT",
}  # fmt: skip
"""Licences of packages whose metadata do not state one, or that only another system, Python or ONNX Runtime needs."""
_SPDX = {
    "apache software license": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0",
    "mit license": "MIT", "bsd license": "BSD", "3-clause bsd license": "BSD-3-Clause", "bsd 2-clause license": "BSD-2-Clause",
    "mpl 2.0": "MPL-2.0", "gpl v3.0": "GPL-3.0",
}  # fmt: skip
"""Identifiers of SPDX for what older metadata say in words. "BSD" is left as it is: it may have two clauses or three."""
_HEAD = """# Licences

The licence of seg-edge is Apache-2.0. These are the licences of the packages that it needs, as their own metadata state them, and the
extras that need them. `base` is always installed. Made by `make licences`; the tested versions are in `constraints.txt`.

A workstation needs `base` and one of `cpu`, `gpu` and `openvino`, and further extras for the formats that it reads. `train` and `export`
are for the laboratory. `docs`, `dev` and `qt` are for developers and samples.

- `pylibjpeg-libjpeg`, of the extra `dicom`, is GPL-3.0. It is needed for lossless JPEG only and can be uninstalled.
- Builds of `torch` for CUDA bring libraries of NVIDIA with NVIDIA's own licences.
- Wheels contain further libraries, such as libjpeg-turbo in `pillow` and OpenBLAS in `numpy`. Their licences are in the folder
  `NAME.dist-info` of the installed package.

A software bill of materials of what is really installed, with versions and licences, is one command:

    python -m pip inspect --local > installed.json

| package | licence | needed by |
|---|---|---|
"""


def normalized(name: str) -> str:
    """Return the name of a package as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(name: str) -> str:
    """Return the licence of a package; empty if it is neither installed nor in the table."""
    try:
        facts = distribution(name).metadata
    except PackageNotFoundError:
        return UNSTATED.get(name, "")
    classes = [
        line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or [] if line.startswith("License ::")
    ]
    words = facts["License"] or ""  # of some packages the whole text
    short = words if len(words) < 120 and "\n" not in words and words != "UNKNOWN" else ""
    found = facts["License-Expression"] or short or " or ".join(classes) or UNSTATED.get(name, "")
    return _SPDX.get(found.lower(), found)


def packages() -> dict[str, list[str]]:
    """Return all packages that seg-edge needs -> the extras that need them, or `base`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = closure(project["dependencies"])
    needed = {name: ["base"] for name in base}
    for extra, lines in sorted(project["optional-dependencies"].items()):
        for name in closure(lines) - base:
            needed.setdefault(name, []).append(extra)
    return needed


def closure(lines: Iterable[str]) -> set[str]:
    """Return the packages that requirements need, and what these need in turn. What is not installed needs nothing."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(line) for line in lines]
    while waiting:
        wanted = waiting.pop()
        known = normalized(wanted.name), frozenset(wanted.extras)
        if known not in found:
            found.add(known)
            waiting += _needs(*known)
    return {name for name, _ in found}


def _needs(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for each in map(Requirement, lines):
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


def pinned() -> set[str]:
    """Return the packages in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {normalized(line.partition("==")[0]) for line in lines if "==" in line}


def page() -> str:
    """Return the page."""
    needed = packages()
    names = sorted(needed.keys() | pinned())
    rows = [f"| {name} | {licence_of(name)} | {', '.join(needed.get(name, ['some systems']))} |\n" for name in names]
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page())
