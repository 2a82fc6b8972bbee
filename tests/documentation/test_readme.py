"""The README is short, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from seg_runtime.cli.program import COMMANDS

from tests.support.places import ROOT

TEXT = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_it_fits_a_front_page() -> None:
    assert len(TEXT.splitlines()) <= 150
    assert len(TEXT.split()) <= 1200


def test_named_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    text = TEXT + "".join(page.read_text() for page in PAGES)
    named = {extra for group in re.findall(r"\.\[([a-z,]+)\]", text) for extra in group.split(",")}
    assert {"cpu", "gpu", "openvino", "train", "export", "dicom", "volume", "structure"} <= named
    for extra in named:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert "docs/get-started.md" in targets
    for target in targets:
        assert (ROOT / target).exists(), target


def unknown(text: str) -> list[str]:
    """Commands and options in the code of a page that do not exist."""
    found = []
    code = [
        part
        for parts in re.findall(r"`([^`\n]+)`|^    (\S.*)$|^((?:seg|python)\S* .*)$", text, re.MULTILINE)
        for part in parts
    ]
    for line in code:
        for edge, short, rest in re.findall(r"\bseg-(?:edge ([a-z][a-z-]*)|(train|export|run)\b)([^|&#]*)", line):
            name = edge or short
            if name not in COMMANDS:
                found.append(name)
                continue
            known = {flag for param in COMMANDS.get(name).params for flag in (*param.opts, *param.secondary_opts)}
            found += set(re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)) - {*known, "--help", "--version"}
    return found


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page: Path) -> None:
    assert unknown(page.read_text()) == []


def test_unknown_ones_are_seen() -> None:
    text = "Run `seg-edge trian x`.\n\n    seg-run --provdier cpu a.png\n\n```sh\nseg-train data --epoch 3  # a comment\n```\n"
    assert unknown(text) == ["trian", "--provdier", "--epoch"]
