"""Every command of the README and of the documentation is executed, in the order in which a reader meets them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.places import ROOT

PLAIN = {"make demo": "make -o .venv/demo demo", "make test": "make -o .venv/ready --dry-run test"}
"""`make test` runs this very test, so it is only resolved."""


class _Loader(yaml.SafeLoader):
    """Reads mkdocs.yml."""


def pages() -> list[Path]:
    """The pages of the documentation in the order of its navigation."""

    def flat(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        values = entry.values() if isinstance(entry, dict) else entry
        return [name for value in values for name in flat(value)]  # type: ignore[attr-defined]

    names = flat(yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)["nav"])
    return [ROOT / "docs" / name for name in names]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Lines of the shell blocks, without comments."""
    lines = [line.split(" #")[0].strip() for block in blocks(page, "sh") for line in block.splitlines()]
    return [PLAIN.get(line, line) for line in lines if line]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has after cloning and `make`: the tree, with this environment as its `.venv`."""
    place = tmp_path_factory.mktemp("clone")
    for name in ("samples", "Makefile", "pyproject.toml", "constraints.txt"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, place / name)
    (place / ".venv").symlink_to(sys.prefix)
    if not (Path(sys.prefix) / "bin" / "activate").exists():
        pytest.fail(f"tests run outside a virtual environment ({sys.prefix}): run them with `make test`")
    return place


def shell(script: str, place: Path) -> str:
    outside = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"source .venv/bin/activate\n{script}"], cwd=place, env=outside,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(page: Path, place: Path) -> str:
    """Run the Python blocks of a page, which use what its shell commands leave."""
    return "".join(
        subprocess.run([sys.executable, "-c", block], cwd=place, capture_output=True, text=True, check=True).stdout
        for block in blocks(page, "python")
    )


def test_the_readme_and_then_the_pages(clone: Path) -> None:
    """In the order of a reader, who does not repeat on a page what the README has told already."""
    readme = commands(ROOT / "README.md")
    told = shell("\n".join(readme), clone)
    assert "parity                    holds" in told
    found = re.search(r"Dice ([\d.]+) on a picture that the training never saw", told)
    assert found
    assert float(found[1]) >= 0.90
    for line in re.findall(r"^(?:picture|mask|overlay|record) +(\S+)$", told, re.MULTILINE):
        assert (clone / line).stat().st_size > 0
    assert {p.name for p in (clone / "results").iterdir()} == {
        f"00{i}{end}" for i in (0, 1) for end in (".json", "_mask.png", "_overlay.png")
    }
    assert python(ROOT / "README.md", clone).strip() == "['background', 'foreground'] (500, 500) cpu"
    ran = 0
    for page in pages():
        lines = [line for line in commands(page) if line not in readme]
        ran += len(lines)
        if lines:
            shell("\n".join(lines), clone)
        python(page, clone)
    assert ran > 25
