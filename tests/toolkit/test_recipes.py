from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.errors import ModelError, SegError
from seg_toolkit.checkpoint import load as load_checkpoint
from seg_toolkit.cli import main
from seg_toolkit.networks import NETWORKS, build, described, from_options
from seg_toolkit.readers import find_cases
from seg_toolkit.recipes import load, names

from .conftest import SMALL, SegTrain, write_pairs

OPTIONS = {str(p.name) for p in main.params}


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_made_of_options(name: str) -> None:
    recipe = load(name, OPTIONS)
    assert recipe.title
    assert recipe.options["network"] in NETWORKS


def test_recipes_are_listed_a_line_each(seg_train: SegTrain) -> None:
    told = seg_train("--list-recipes").stdout.splitlines()
    assert [line.split()[0] for line in told] == names()


def test_a_recipe_is_the_default_and_an_option_goes_before_it(tmp_path: Path, seg_train: SegTrain) -> None:
    data = write_pairs(tmp_path / "data")
    out = tmp_path / "m.pt"
    small = [*SMALL, "--steps", "1", "--dropout", "0", "-o", out]
    assert seg_train(data, *small, "--recipe", "semantic").exit_code == 0
    provenance = load_checkpoint(out).contract.provenance
    assert provenance["recipe"] == "semantic"
    assert provenance["network"] == {
        "kind": "unet", "in_channels": 1, "classes": 2, "width": 2, "depth": 4, "skip": "crop", "dropout": 0.0,
        "padding": "valid", "norm": "none", "margin": None,
    }  # fmt: skip
    odd = seg_train(data, *small, "--recipe", "semantic", "--network", "vnet", "--overwrite")
    assert odd.exit_code == 1
    assert "vnet came" not in odd.stderr
    assert "--network vnet" in odd.stderr


def test_an_unknown_recipe_names_the_known_ones(seg_train: SegTrain) -> None:
    told = seg_train("data", "--recipe", "liver")
    assert told.exit_code == 1
    assert "semantic" in told.stderr


def test_a_key_that_is_no_option_is_refused() -> None:
    with pytest.raises(SegError, match="recipe semantic sets network"):
        load("semantic", OPTIONS - {"network"})


def test_a_network_is_rebuilt_from_what_is_said_of_it() -> None:
    network = from_options("unet", 1, 3, {"width": 2, "skip": "resize", "steps": 9, "dropout": None})
    assert described(build(described(network))) == described(network)
    assert network.arguments["skip"] == "resize"


def test_the_first_checkpoints_knew_one_kind() -> None:
    assert build({"in_channels": 1, "classes": 2, "width": 1}).kind == "unet"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="'vnet'"):
        build({"kind": "vnet"})


def test_an_unknown_reader_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SegError, match="pairs"):
        find_cases("dicom", tmp_path, print)


def test_input_size_takes_a_number_for_each_axis(tmp_path: Path, seg_train: SegTrain) -> None:
    data = write_pairs(tmp_path / "data")
    out = tmp_path / "m.pt"
    rest = ["--width", "2", "--steps", "1", "--workers", "0", "--geometry", "fit", "--overwrite", "-o", out]
    assert seg_train(data, *rest, "--input-size", "204,220").exit_code == 0
    contract = load_checkpoint(out).contract
    assert (contract.input_shape, contract.output_shape) == ((204, 220), (20, 36))
    assert "one for each axis" in seg_train(data, *rest, "--input-size", "wide").stderr
    assert "input size 204,204,204" in seg_train(data, *rest, "--input-size", "204,204,204").stderr
