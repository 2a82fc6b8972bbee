"""Fields of a dataclass that become options of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner
from seg_runtime.cli.options import GroupedOption, Options, Sides, option
from seg_runtime.support import OptionsError


@dataclass(frozen=True, kw_only=True)
class Paint(Options):
    colour: str = option("red", "Of the paint.", click.Choice(["red", "blue"]), of="look")
    dry: bool = option(False, "Wait.")
    gloss: bool | None = option(None, "Shine.", flag="--gloss/--no-gloss", of="look")
    coats: tuple[int, ...] = option((), "Thickness of each.", int, flag="--coat", multiple=True, metavar="PX")
    given: str = "not an option"


@click.command()
@Paint.decorate
def paint(**values: Any) -> None:
    click.echo(repr(Paint(**values)))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], Paint()),
        (["--colour", "blue", "--dry"], Paint(colour="blue", dry=True)),
        (["--no-gloss", "--coat", "2", "--coat", "3"], Paint(gloss=False, coats=(2, 3))),
    ],
)
def test_what_is_written_becomes_the_fields(words: list[str], wanted: Paint) -> None:
    assert CliRunner().invoke(paint, words).stdout == f"{wanted!r}\n"


def test_each_option_is_there_once_with_its_help() -> None:
    told = CliRunner().invoke(paint, ["--help"]).stdout
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  --")] == [
        "--colour", "--dry", "--gloss", "--coat", "--help",
    ]  # fmt: skip
    assert "--coat PX" in told
    assert "Thickness of each." in told
    assert "given" not in told


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (click.IntRange(1), "abc", "--coats is 'abc'; expected a whole number of 1 or more. See --help."),
        (click.IntRange(1), "0.5", "--coats is '0.5'; expected a whole number of 1 or more. See --help."),
        (click.IntRange(1), "0", "--coats is 0; expected 1 or more. See --help."),
        (click.IntRange(1, 64), "65", "--coats is 65; expected a whole number from 1 to 64. See --help."),
        (click.INT, "x", "--coats is 'x'; expected a whole number. See --help."),
        (click.FloatRange(0), "-1", "--coats is -1; expected 0 or more. See --help."),
        (click.FloatRange(0, 1, max_open=True), "1", "--coats is 1; expected 0 or more and below 1. See --help."),
        (click.FloatRange(0, 1, True, True), "x", "--coats is 'x'; expected a number above 0 and below 1. See --help."),
        (click.Choice(["red", "blue"]), "5", "--coats is '5'; expected red or blue. See --help."),
        (
            Sides(),
            "a,3",
            "--coats is 'a,3'; expected one number, or one for each axis, such as 572 or 116,132,132. See --help.",
        ),
    ],
)
def test_a_value_that_an_option_does_not_take_is_answered_with_what_it_takes(
    kind: click.ParamType[Any], value: str, told: str
) -> None:
    command = click.Command("paint", params=[GroupedOption(["-c", "--coats"], type=kind)])
    with pytest.raises(OptionsError) as caught:
        command.make_context("paint", ["--coats", value])
    assert str(caught.value) == told


def test_fields_of_a_set() -> None:
    assert list(Paint.options("look")) == ["--colour", "--gloss/--no-gloss"]
    assert list(Paint.options()) == ["--colour", "--dry", "--gloss/--no-gloss", "--coat"]
