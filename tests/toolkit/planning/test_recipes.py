from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.support.errors import ModelError, SegError
from seg_toolkit.checkpoints.checkpoint import load as load_checkpoint
from seg_toolkit.cli.train import main
from seg_toolkit.data.readers import find_cases
from seg_toolkit.networks import NETWORKS, build, described, from_options
from seg_toolkit.planning import recipes
from seg_toolkit.planning.recipes import load, names

from samples.generators import generator
from tests.support.commands import seg_train
from tests.support.folders import SMALL, write_pairs

OPTIONS = {str(p.name) for p in main.params}


@pytest.mark.parametrize("name", names())
def test_every_recipe_is_made_of_options(name: str) -> None:
    recipe = load(name, OPTIONS)
    assert recipe.title
    assert recipe.options["network"] in NETWORKS


def test_recipes_are_listed_a_line_each() -> None:
    told = seg_train("--list-recipes").stdout.splitlines()
    assert [line.split()[0] for line in told] == names()


def test_a_recipe_is_the_default_and_an_option_goes_before_it(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--network", "ternaus", "--skip", "resize"], "--skip for the network ternaus, which takes --width, --margin"),
        (["--network", "unet3d", "--norm", "batch", "--dropout", "0"], "--dropout, --norm for the network unet3d"),
        (["--recipe", "pancreas", "--skip", "crop"], "--skip for the network attention"),
        (["--recipe", "brain-tumour", "--margin", "0"], "--margin for the network unet3d"),
    ],
)
def test_options_that_the_network_does_not_take_are_refused(words: list[str], says: str) -> None:
    told = seg_train("nowhere", *words)
    assert told.exit_code == 2
    assert says in told.stderr


def test_options_of_a_recipe_for_another_network_are_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "padded.toml").write_text(
        'title = "a test"\n[network]\nnetwork = "unet"\nnorm = "batch"\npadding = "same"\n'
    )
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    small = ["--width", "2", "--steps", "1", "--workers", "0", "--device", "cpu", "-o", out, "--recipe", "padded"]
    told = seg_train(data, *small, "--network", "ternaus", "--margin", "0", "--geometry", "fit", "--input-size", "64")
    assert told.exit_code == 0, told.stderr
    assert "note: the network ternaus has no use for --norm, --padding of the recipe" in told.stderr
    assert load_checkpoint(out).network["kind"] == "ternaus"


def test_a_recipe_may_get_another_network(tmp_path: Path) -> None:
    generator("pancreas").write(tmp_path / "data", 2, 0)
    out = tmp_path / "m.pt"
    small = ["--width", "2", "--depth", "1", "--input-size", "44", "--steps", "1", "--workers", "0", "-o", out]
    told = seg_train(tmp_path / "data", "--recipe", "pancreas", "--network", "unet", *small)
    assert told.exit_code == 0, told.stderr
    assert "note:" not in told.stderr
    assert load_checkpoint(out).network["kind"] == "unet"


def test_an_unknown_recipe_names_the_known_ones() -> None:
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


def test_input_size_takes_a_number_for_each_axis(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data")
    out = tmp_path / "m.pt"
    rest = ["--width", "2", "--steps", "1", "--workers", "0", "--geometry", "fit", "--overwrite", "-o", out]
    assert seg_train(data, *rest, "--input-size", "204,220").exit_code == 0
    contract = load_checkpoint(out).contract
    assert (contract.geometry.input_shape, contract.geometry.output_shape) == ((204, 220), (20, 36))
    assert "one for each axis" in seg_train(data, *rest, "--input-size", "wide").stderr
    assert "input size 204,204,204" in seg_train(data, *rest, "--input-size", "204,204,204").stderr
