"""What the README names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

TEXT = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", ["seg-train", "seg-export", "seg-run"])
def test_named_options_exist(command):
    rows = [line for line in TEXT.splitlines() if line.startswith(f"| `{command}")]
    options = set(re.findall(r"`(--[a-z-]+)`", " ".join(rows)))
    assert options
    shown = subprocess.run(
        [Path(sys.executable).with_name(command), "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert options <= set(re.findall(r"--[a-z-]+", shown))


def test_named_extras_exist():
    project = (ROOT / "pyproject.toml").read_text()
    named = {extra for group in re.findall(r"\.\[([a-z,]+)\]", TEXT) for extra in group.split(",")}
    extras = ("cpu", "gpu", "openvino", "tune", "train", "export", "dicom", "sign", "volume", "structure", "metrics")
    assert named == set(extras)
    for extra in named:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert "samples/README.md" in targets
    for target in targets:
        assert (ROOT / target).exists(), target
