"""The README is short, and what it names exists."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_commands_and_their_options_exist(page) -> None:
    """In code of a page: `seg-edge NAME --option`, `seg-run --option` and so on."""
    code = "\n".join(re.findall(r"`([^`\n]+)`|^    (\S.*)$|^(seg-\S+ .*)$", page.read_text(), re.MULTILINE) and
                     [a or b or c for a, b, c in re.findall(r"`([^`\n]+)`|^    (\S.*)$|^(seg-\S+ .*)$", page.read_text(), re.MULTILINE)])  # fmt: skip
    for words in re.findall(r"\bseg-(edge \S+|train|export|run)((?: [^|&\n]+)*)", code):
        name = words[0].removeprefix("edge ")
        if name.startswith("-") or not name.islower() or name == "...":
            continue
        assert name in COMMANDS, f"seg-edge {name}"
        known = {flag for param in COMMANDS.get(name).params for flag in (*param.opts, *param.secondary_opts)}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", words[1])) <= {*known, "--help", "--version"}, words
