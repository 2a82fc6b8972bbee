"""Sections of docstrings begin at the margin: MkDocs reads an indented one as a part of the section above."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import ROOT

PACKAGES = ("runtime/seg_runtime", "toolkit/seg_toolkit", "export/seg_export")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def indented_sections(source: str) -> list[str]:
    """Names of the classes and functions of a source file that have an indented section."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED)]
    heading = re.compile(r"^ +(?:Args|Attributes|Returns|Yields|Raises):$", re.MULTILINE)
    return [getattr(node, "name", "") for node in found if heading.search(ast.get_docstring(node) or "")]


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_section_is_indented(path: Path) -> None:
    assert indented_sections(path.read_text()) == []


def test_an_indented_section_is_seen() -> None:
    text = 'def f():\n    """Do.\n\n    Args:\n        a: b.\n\n        Raises:\n            E: c.\n    """\n'
    assert indented_sections(text) == ["f"]
    assert indented_sections(text.replace("        Raises:\n            E", "    Raises:\n        E")) == []
