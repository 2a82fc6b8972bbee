"""A folder of the runtime is used from outside by its surface alone: the names in its `__init__.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.places import ROOT

CODE = ("runtime/seg_runtime", "toolkit/seg_toolkit", "export/seg_export", "benchmarks", "samples")
RUNTIME = ROOT / "runtime"
MODULES = {".".join(path.relative_to(RUNTIME).with_suffix("").parts) for path in RUNTIME.rglob("*.py")}
OPEN = {
    "seg_runtime.formats.structures", "seg_runtime.formats.dicom", "seg_runtime.engine.providers",  # have own surfaces
    "seg_runtime.cli.commandline", "seg_runtime.cli.options",  # what all commands share
}  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, or imports names from."""
    own = path.relative_to(RUNTIME).parts if "seg_runtime" in path.parts else ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            start = own[: len(own) - node.level] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            for name in node.names:
                yield f"{base}.{name.name}" if f"{base}.{name.name}" in MODULES else base
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def past_a_surface(path: Path) -> list[str]:
    """What a file imports from inside a folder of the runtime that is not its own."""
    folder = ".".join(path.relative_to(RUNTIME).parts[:2]) if "seg_runtime" in path.parts else "none"
    return [
        name
        for name in imported(path)
        if name.startswith("seg_runtime.")
        and name.count(".") > 1
        and not name.startswith(f"{folder}.")
        and name not in OPEN
    ]


def test_nobody_imports_past_the_surface_of_a_folder() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py") if "node_modules" not in path.parts]
    assert len(files) > 200
    assert {str(path): found for path in files if (found := past_a_surface(path))} == {}


def test_it_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from seg_runtime.pipeline.grid import Grid\nimport seg_runtime.model.digest\nfrom seg_runtime.model import golden\n"
        "from seg_runtime.formats.structures.voxels import Lattice\nfrom seg_runtime.cli.rules import Loaded\n"
        "from seg_runtime import model\nfrom seg_runtime.engine.providers import Provider\n"
    )
    assert past_a_surface(wrong) == [
        "seg_runtime.pipeline.grid", "seg_runtime.model.digest", "seg_runtime.model.golden",
        "seg_runtime.formats.structures.voxels", "seg_runtime.cli.rules",
    ]  # fmt: skip
