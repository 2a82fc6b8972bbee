from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from seg_runtime.support import SegError
from seg_toolkit.cli import main
from seg_toolkit.options import EvaluateOptions, ImportOptions, TrainOptions

CLASSES = (TrainOptions, ImportOptions, EvaluateOptions)


def test_the_command_line_has_each_option_once_with_its_default_and_its_help() -> None:
    wanted = {flag: field for options in CLASSES for flag, field in options.options().items()}
    found = {param.opts[0]: param for param in main.params if param.name in {f.name for f in wanted.values()}}
    assert found.keys() == wanted.keys()
    for flag, field in wanted.items():
        assert found[flag].default in (field.default, None), flag
        assert getattr(found[flag], "help", "") == field.metadata["help"]


@pytest.mark.parametrize("options", CLASSES)
def test_every_field_but_the_recipe_is_an_option(options: type[TrainOptions]) -> None:
    assert {f.name for f in fields(options)} - {"recipe"} == {f.name for f in options.options().values()}


def test_what_nobody_gives_has_its_default() -> None:
    options = TrainOptions(width=8)
    assert (options.width, options.network, options.intensity, options.steps) == (8, "unet", "auto", None)
    assert ImportOptions(weights=Path("w.pt")).skip_first is False


def test_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainOptions().width = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["border_weight", "dice_weight", "dropout", "lr", "balance", "val_fraction"])
def test_numbers_are_finite(name: str) -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(SegError, match=f"--{name.replace('_', '-')} {number}; wanted a finite number"):
            TrainOptions(**{name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("lr", [0.0, -1e-3, 101.0])
def test_a_learning_rate_is_in_range(lr: float) -> None:
    with pytest.raises(SegError, match=r"--lr .*above 0 and up to 100"):
        TrainOptions(lr=lr)
