"""Every command of the README is executed, in the order in which a reader meets them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Lines of the shell blocks, without comments. `make test` runs this very test, so it is only resolved."""
    lines = [line.split(" #")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    known = {"make demo": "make -o .venv/ready demo", "make test": "make -o .venv/ready --dry-run test"}
    return [known.get(line, line) for line in lines if line]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a reader has after cloning and `make`: the tree, with this environment as its `.venv`."""
    place = tmp_path_factory.mktemp("clone")
    for name in ("samples", "Makefile", "pyproject.toml", "constraints.txt"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, place / name)
    (place / ".venv").symlink_to(sys.prefix)
    if not (Path(sys.prefix) / "bin" / "activate").exists():
        pytest.fail(f"tests run outside a virtual environment ({sys.prefix}): run them with `make test`")
    return place


def shell(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=place, env=outside, capture_output=True, text=True, check=False
    )


def test_shell_commands(clone):
    script = "\n".join(commands())
    done = shell(script, clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "parity                    holds" in done.stdout
    dice = float(re.search(r"^Dice ([\d.]+) on a picture that training never saw", done.stdout, re.MULTILINE)[1])
    assert dice >= 0.90
    told = re.findall(r"^(mask|overlay|record) +(\S+)$", done.stdout, re.MULTILINE)
    assert {word for word, _ in told} == {"mask", "overlay", "record"}
    for _, line in told:
        assert (clone / line).stat().st_size > 0
    assert {p.name for p in (clone / "results").iterdir()} == {
        f"00{i}{end}" for i in (0, 1) for end in (".json", "_mask.png", "_overlay.png")
    }


def test_python_example(clone):
    """Runs on what the shell commands left."""
    if not (clone / "model.onnx").exists():
        done = shell("\n".join(c for c in commands() if not c.startswith("make")), clone)
        assert done.returncode == 0, done.stdout + done.stderr
    (example,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", example], cwd=clone, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['background', 'foreground'] (500, 500) cpu"
