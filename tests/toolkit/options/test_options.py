from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import click
import pytest
from seg_runtime.support import OptionsError, SegError
from seg_toolkit.cli.evaluate import main as evaluate
from seg_toolkit.cli.train import main as train
from seg_toolkit.cli.weights import main as import_weights
from seg_toolkit.options import DataOptions, EvaluateOptions, ImportOptions, TrainOptions

COMMANDS: list[tuple[click.Command, type[DataOptions]]] = [
    (train, TrainOptions),
    (import_weights, ImportOptions),
    (evaluate, EvaluateOptions),
]


@pytest.mark.parametrize(("command", "options"), COMMANDS)
def test_a_command_has_each_option_once_with_its_default_and_its_help(
    command: click.Command, options: type[DataOptions]
) -> None:
    wanted = options.options()
    found = {param.opts[0]: param for param in command.params if param.name in {f.name for f in wanted.values()}}
    assert found.keys() == wanted.keys()
    for flag, field in wanted.items():
        assert found[flag].default in (field.default, None), flag
        assert getattr(found[flag], "help", "") == field.metadata["help"]


@pytest.mark.parametrize("options", [TrainOptions, EvaluateOptions])
def test_every_field_but_the_recipe_is_an_option(options: type[DataOptions]) -> None:
    assert {f.name for f in fields(options)} - {"recipe", "kept"} == {f.name for f in options.options().values()}


def test_an_import_has_no_option_of_a_training() -> None:
    assert {"--skip-first", "--intensity", "--padding", "--device"} <= ImportOptions.options().keys()
    assert not {"--steps", "--lr", "--resume", "--from", "--freeze", "--val-list"} & ImportOptions.options().keys()


def test_what_nobody_gives_has_its_default() -> None:
    options = TrainOptions(width=8)
    assert (options.width, options.network, options.intensity, options.steps) == (8, None, "auto", None)
    assert ImportOptions().skip_first is False


def test_options_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainOptions().width = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", ["border_weight", "dice_weight", "dropout", "lr", "balance", "val_fraction"])
def test_numbers_are_finite(name: str) -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(SegError, match=f"--{name.replace('_', '-')} is {number}; expected a finite number"):
            TrainOptions(**{name: number})  # type: ignore[arg-type]


@pytest.mark.parametrize("lr", [0.0, -1e-3, 101.0])
def test_a_learning_rate_is_in_range(lr: float) -> None:
    with pytest.raises(SegError, match=r"--lr .*above 0 and up to 100"):
        TrainOptions(lr=lr)


def test_a_pixel_size_with_a_comma_is_refused_before_it_ends_an_option_of_the_reader() -> None:
    with pytest.raises(OptionsError, match=r"--pixel-size is '1,5um', with a comma"):
        TrainOptions(pixel_size="1,5um").stated  # noqa: B018 - raises
    assert TrainOptions(pixel_size="2 x 0.5 um").stated == {"pixel-size": "2x0.5um"}
