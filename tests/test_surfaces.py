"""A folder of the runtime is used from outside by its surface alone: the names in its `__init__.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import ROOT

CODE = ("runtime/seg_runtime", "toolkit/seg_toolkit", "export/seg_export", "benchmarks", "samples")
SHARED = ("seg_runtime.cli.", "seg_runtime.formats.structures", "seg_runtime.engine.providers")
"""What all commands share, and folders within folders, which have surfaces of their own."""


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports names from."""
    own = path.relative_to(ROOT / "runtime").with_suffix("").parts if "seg_runtime" in path.parts else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            start = own[: len(own) - node.level] if node.level else ()
            yield ".".join([*start, *([node.module] if node.module else [])])
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def past_a_surface(path: Path) -> list[str]:
    folder = ".".join(path.relative_to(ROOT / "runtime").parts[:2]) if "seg_runtime" in path.parts else "none"
    return [
        name
        for name in imported(path)
        if name.startswith("seg_runtime.") and name.count(".") > 1 and not name.startswith((*SHARED, f"{folder}."))
    ]


def test_nobody_imports_past_the_surface_of_a_folder() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert len(files) > 200
    assert {str(path): found for path in files if (found := past_a_surface(path))} == {}


def test_it_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from seg_runtime.pipeline.grid import Grid\nimport seg_runtime.model.digest\nfrom seg_runtime import model\n"
    )
    assert past_a_surface(wrong) == ["seg_runtime.pipeline.grid", "seg_runtime.model.digest"]
