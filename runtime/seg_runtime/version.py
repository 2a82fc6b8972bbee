"""The version of seg-edge; the build reads it here, and asking the installed packages would cost each start 15 ms."""

from __future__ import annotations

from types import ModuleType

VERSION = "0.1.0"


def versions_of(**packages: ModuleType) -> dict[str, str]:
    """Versions of seg-edge and of imported packages by their names, for records and provenance."""
    return {"seg-edge": VERSION, **{name: str(package.__version__) for name, package in packages.items()}}
