"""The version of seg-edge. The build reads it from here; reading package metadata would add 15 ms to every start."""

from __future__ import annotations

from types import ModuleType

VERSION = "0.1.0"


def versions_of(**packages: ModuleType) -> dict[str, str]:
    """Return the versions of seg-edge and of imported packages, by name, for records and provenance."""
    return {"seg-edge": VERSION, **{name: str(package.__version__) for name, package in packages.items()}}
