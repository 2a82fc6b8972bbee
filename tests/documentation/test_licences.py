"""The page of licences names every package, with the licence that its metadata state."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType

import pytest

from tests.support.places import ROOT

PAGE = ROOT / "docs" / "reference" / "licences.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """docs/licences.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> dict[str, tuple[str, str]]:
    """Package -> its licence and the extras that need it."""
    found = re.findall(r"^\| (\S+) \| (.*?) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: (licence, extras) for name, licence, extras in found if name != "package"}


def installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def test_every_pinned_package_has_a_licence(script: ModuleType) -> None:
    assert len(script.pinned()) > 100
    assert script.pinned() - rows().keys() == set()
    assert [name for name, (licence, _) in rows().items() if not licence or licence == "UNKNOWN"] == []


def test_every_package_that_an_extra_needs_is_there(script: ModuleType) -> None:
    assert script.packages().keys() - rows().keys() == set()
    base = {name for name, (_, extras) in rows().items() if extras == "base"}
    assert {"numpy", "pillow", "click", "tifffile"} <= base


def test_the_licences_are_those_of_the_installed_packages(script: ModuleType) -> None:
    here = [name for name in rows() if installed(name)]
    assert len(here) > 80
    assert {name: script.licence_of(name) for name in here} == {name: rows()[name][0] for name in here}


def test_the_ones_to_know_about() -> None:
    strict = {name for name, (licence, _) in rows().items() if re.search(r"(?<!L)GPL", licence)}
    assert strict == {"pylibjpeg-libjpeg", "pyside6-essentials", "shiboken6"}  # Qt offers the LGPL as well
    assert "LGPL" in rows()["pyside6-essentials"][0]
    assert "`pylibjpeg-libjpeg`, of the extra `dicom`, is GPL-3.0" in PAGE.read_text()
