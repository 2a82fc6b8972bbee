"""Fields of a dataclass that become options of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner
from seg_runtime.cli.options import Options, option


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


def test_fields_of_a_set() -> None:
    assert list(Paint.options("look")) == ["--colour", "--gloss/--no-gloss"]
    assert list(Paint.options()) == ["--colour", "--dry", "--gloss/--no-gloss", "--coat"]
