"""A package of somebody else's: its reader, network, recipe, answer and objective are found by entry points, and train a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import in_a_process
from tests.support.folders import write_pairs
from tests.support.packages import install

CODE = '''
from dataclasses import dataclass
from pathlib import Path

from seg_runtime.answers import Labels
from seg_runtime.model import LabelSpec
from seg_toolkit.data.readers.pairs import find_pairs
from seg_toolkit.networks.unet import UNet
from seg_toolkit.training.objectives.labels import LabelObjective


@dataclass(frozen=True)
class Spec(LabelSpec):
    kind = "sure labels"


class SureLabels(Labels):
    """Labels without what is not sure."""

    Spec = Spec


class SureObjective(LabelObjective):
    """Trained as labels are; `--balance` is not for it."""

    Spec = Spec
    options = tuple(name for name in LabelObjective.options if name != "balance")
    title = "sure Dice"


class Narrow(UNet):
    """A U-Net of one pooling."""

    kind = "narrow"
    options = ("width",)

    def __init__(self, in_channels=1, classes=2, width=2):
        super().__init__(in_channels, classes, width, depth=1, dropout=0.0)
        self.arguments = {"in_channels": in_channels, "classes": classes, "width": width}


def find_other(root, report, folder="pairs"):
    """A folder of pairs, one deeper."""
    return find_pairs(root / folder, report)


RECIPE = Path(__file__).with_name("toy.toml")
'''
RECIPE = """
title = "sure labels by a narrow network"

[data]
reader = "deeper:folder=inner"

[network]
network = "narrow"
input-size = "28"

[training]
answer = "sure labels"
steps = 2
balance = 0.3
"""
POINTS = """
[seg_edge.readers]
deeper = toy_package:find_other
[seg_edge.networks]
narrow = toy_package:Narrow
[seg_edge.recipes]
toy = toy_package:RECIPE
[seg_edge.answers]
sure labels = toy_package:SureLabels
[seg_edge.objectives]
sure labels = toy_package:SureObjective
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder of a package as pip would install it."""
    folder = install(tmp_path / "site", "toy-package", points=POINTS, toy_package=CODE)
    (folder / "toy.toml").write_text(RECIPE)
    return folder


def test_a_package_of_somebody_else_trains_a_model(tmp_path: Path, installed: Path) -> None:
    write_pairs(tmp_path / "data" / "inner")
    out = tmp_path / "m.pt"
    small = ["--workers", "0", "--device", "cpu", "-o", out]
    made = in_a_process("seg-train", tmp_path / "data", "--recipe", "toy", *small, path=installed)
    assert made.returncode == 0, made.stderr
    assert "validation sure Dice" in made.stderr
    assert "note: this kind of output does not use it, so --balance is ignored" in made.stderr
    again = in_a_process("seg-edge", "evaluate", out, tmp_path / "data", "--include-training", path=installed)
    assert again.returncode == 0, again.stderr
    assert '"images": 3' in again.stdout
    listed = in_a_process("seg-edge", "recipes", path=installed)
    assert "sure labels by a narrow network" in listed.stdout


def test_without_the_package_its_model_says_what_is_missing(tmp_path: Path, installed: Path) -> None:
    write_pairs(tmp_path / "data" / "inner")
    out = tmp_path / "m.pt"
    small = ["--workers", "0", "--device", "cpu", "-o", out]
    assert in_a_process("seg-train", tmp_path / "data", "--recipe", "toy", *small, path=installed).returncode == 0
    alone = in_a_process("seg-edge", "evaluate", out, tmp_path / "data")
    assert alone.returncode == 1
    assert "sure labels" in alone.stderr
    assert alone.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def find(root, report): return None", "the reader toy returned NoneType; expected a DataSet"),
        ("def find(root, report): raise KeyError('plate')", "the package toy_reader failed (KeyError: 'plate')"),
        (
            "from seg_toolkit.data import DataSet\ndef find(root, report): return DataSet(())",
            "the reader toy found no images in",
        ),
        ("find = 3", "the reader 'toy' cannot be loaded from toy_reader:find (it cannot be called)"),
    ],
)
def test_a_reader_that_does_not_work_is_one_line(tmp_path: Path, code: str, problem: str) -> None:
    install(tmp_path / "site", "toy", points="[seg_edge.readers]\ntoy = toy_reader:find\n", toy_reader=code)
    (tmp_path / "data").mkdir()
    done = in_a_process(
        "seg-train", tmp_path / "data", "--reader", "toy", "-o", tmp_path / "m.pt", path=tmp_path / "site"
    )
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert problem in line


def test_a_broken_recipe_hides_no_other(tmp_path: Path) -> None:
    install(tmp_path, "toy", points="[seg_edge.recipes]\nbroken = nowhere:recipe\n")
    done = in_a_process("seg-edge", "recipes", path=tmp_path)
    assert done.returncode == 0
    assert "broken" in done.stdout
    assert "No module named 'nowhere'" in done.stdout
    assert "skin-lesion" in done.stdout
