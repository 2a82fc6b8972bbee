"""The files with hashes are those of the tested versions, complete, and name no host."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.places import ROOT

FILES = sorted((ROOT / "requirements").glob("*.txt"))
EXTRAS = {
    "cpu": {"cpu"},
    "gpu": {"gpu"},
    "cpu-medical": {"cpu", "dicom", "tiff", "volume", "sign"},
    "gpu-medical": {"gpu", "dicom", "tiff", "volume", "sign"},
}
MACHINES = [(f"3.{minor}", system) for minor in range(10, 15) for system in ("linux", "win32", "darwin")]


def pins(text: str, version: str, system: str) -> dict[str, str]:
    """Package -> its pinned version, for a version of Python and a system."""
    lines = [line.split(" #")[0].rstrip("\\ ") for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    place = {"python_version": version, "python_full_version": f"{version}.0", "sys_platform": system}
    found = [r for r in map(Requirement, lines) if r.marker is None or r.marker.evaluate(place)]
    names = [canonicalize_name(r.name) for r in found]
    assert len(names) == len(set(names))
    return {name: str(r.specifier) for name, r in zip(names, found, strict=True)}


def differing(text: str, constraints: str) -> list[str]:
    """Pins that are not those of the constraints."""
    found: list[str] = []
    for python, system in MACHINES:
        tested = pins(constraints, python, system)
        listed = pins(text, python, system).items()
        found += [
            f"{name}{version} on Python {python}, {system}" for name, version in listed if tested.get(name) != version
        ]
    return found


def test_there_is_a_file_for_each_kind_of_workstation() -> None:
    assert {path.stem for path in FILES} == EXTRAS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_versions_are_the_tested_ones(path: Path) -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    assert differing(path.read_text(), constraints) == []
    assert differing(path.read_text(), constraints.replace("click==8.5.1", "click==8.5.0"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_direct_dependency_is_there_and_no_torch(path: Path) -> None:
    extras = EXTRAS[path.stem]
    wanted = {
        canonicalize_name(each.name)
        for each in map(Requirement, requires("seg-edge") or [])
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }
    assert {"numpy", "pillow", "click"} <= wanted
    for python, system in MACHINES:
        there = pins(path.read_text(), python, system).keys()
        assert wanted <= there
        assert not {"torch", "onnx", "scipy"} & there


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_package_has_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    packages = [part for part in re.split(r"\n(?=[A-Za-z])", text) if "==" in part]
    assert len(packages) >= 10
    for part in packages:
        assert re.fullmatch(r"\S+==\S+[^\n]*( \\\n +--hash=sha256:[0-9a-f]{64})+\n?", part), part[:100]
