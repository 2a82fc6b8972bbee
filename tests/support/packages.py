"""Packages that seem to be installed."""

from __future__ import annotations

from pathlib import Path


def install(place: Path, name: str, version: str = "1.0", points: str = "", **modules: str) -> Path:
    """Make `place` a folder for the import path as pip leaves it: with metadata, entry points, and the code of modules."""
    info = place / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(points)
    for module, code in modules.items():
        (place / f"{module}.py").write_text(code)
    return place
