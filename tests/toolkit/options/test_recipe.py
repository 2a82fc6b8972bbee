from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.support import SegError
from seg_toolkit.checkpoints import load as load_checkpoint
from seg_toolkit.networks import NETWORKS
from seg_toolkit.options import RECIPES, load_recipe

from samples.generators import generator
from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_pairs


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_is_made_of_options(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.title
    assert recipe.options["network"] in NETWORKS


def test_recipes_are_listed_a_line_each() -> None:
    told = seg_edge("recipes").stdout.splitlines()
    assert [line.split()[0] for line in told] == RECIPES.names()


def test_a_recipe_is_the_default_and_an_option_goes_before_it(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data")
    out = tmp_path / "m.pt"
    small = [*SMALL, "--steps", "1", "--dropout", "0", "-o", out]
    ok(seg_train(data, *small, "--recipe", "semantic"))
    provenance = load_checkpoint(out).contract.provenance
    assert provenance["recipe"] == "semantic"
    assert provenance["network"] == {
        "kind": "unet", "in_channels": 1, "classes": 2, "width": 2, "depth": 4, "skip": "crop", "dropout": 0.0,
        "padding": "valid", "norm": "none", "margin": None,
    }  # fmt: skip


def test_options_of_a_recipe_for_another_network_are_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "padded.toml").write_text(
        'title = "a test"\n[network]\nnetwork = "unet"\nnorm = "batch"\npadding = "same"\n'
    )
    monkeypatch.setitem(RECIPES.own, "padded", tmp_path / "padded.toml")
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    small = ["--width", "2", "--steps", "1", "--workers", "0", "--device", "cpu", "-o", out, "--recipe", "padded"]
    told = ok(
        seg_train(data, *small, "--network", "ternaus", "--margin", "0", "--geometry", "fit", "--input-size", "64")
    )
    for option in ("--norm", "--padding"):
        assert f"note: this network has no such option, so {option} is ignored" in told.stderr
    assert load_checkpoint(out).network["kind"] == "ternaus"


def test_a_recipe_may_get_another_network(tmp_path: Path) -> None:
    generator("pancreas").write(tmp_path / "data", 2, 0)
    out = tmp_path / "m.pt"
    small = ["--width", "2", "--depth", "1", "--input-size", "44", "--steps", "1", "--workers", "0", "-o", out]
    told = ok(seg_train(tmp_path / "data", "--recipe", "pancreas", "--network", "unet", *small))
    assert "is ignored" not in told.stderr
    assert load_checkpoint(out).network["kind"] == "unet"


def test_an_unknown_recipe_names_the_known_ones() -> None:
    told = seg_train("data", "--recipe", "liver")
    assert told.exit_code == 2
    assert "semantic" in told.stderr


def test_a_key_that_is_no_option_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd.toml").write_text('title = "a test"\n[network]\nnetwork = "unet"\nwings = 2\n')
    monkeypatch.setitem(RECIPES.own, "odd", tmp_path / "odd.toml")
    with pytest.raises(SegError, match="recipe odd sets wings"):
        load_recipe("odd")


@pytest.mark.parametrize("text", ['title = "unfinished', 'title = "flat"\nwidth = 2\n', "[network]\nwidth = 2\n"])
def test_a_recipe_that_is_none_is_named_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "broken.toml").write_text(text)
    monkeypatch.setitem(RECIPES.own, "broken", tmp_path / "broken.toml")
    with pytest.raises(SegError, match="recipe broken cannot be read"):
        load_recipe("broken")
