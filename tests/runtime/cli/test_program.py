"""`seg-edge`: all commands, in the order in which a person needs them, and the help of each."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner
from seg_runtime.cli.commandline import Command
from seg_runtime.cli.options import COMMON
from seg_runtime.cli.program import COMMANDS, USUAL, main

from tests.support.commands import ok, seg_edge, seg_run, seg_train

NAMES = ["check", "train", "evaluate", "import", "recipes", "export", "run", "doctor", "self-test", "tune"]


def sections(name: str) -> dict[str, list[str]]:
    """The help of a command on a screen of 100 columns: the lines below each title."""
    found: dict[str, list[str]] = {"": []}
    title = ""
    for line in CliRunner().invoke(COMMANDS.get(name), ["--help"], terminal_width=100).stdout.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            title = line.removesuffix(":")
        found.setdefault(title, []).append(line)
    return found


def test_seg_edge_alone_shows_the_usual_way_in_order() -> None:
    told = ok(seg_edge()).stdout
    assert sorted(COMMANDS.names()) == sorted(NAMES)
    places = [told.index(f"{place}. {name}") for place, name in enumerate(USUAL, 1)]
    assert places == sorted(places)
    assert all(f"\n  {name} " in told for name in NAMES if name not in USUAL)


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_a_screen_for_each_group_and_begins_with_examples(name: str) -> None:
    found = sections(name)
    assert max(len(lines) for lines in found.values()) <= 40
    assert max(len(line) for lines in found.values() for line in lines) <= 100
    assert list(found)[1] == "Examples"
    command = COMMANDS.get(name)
    assert isinstance(command, Command)
    assert 2 <= len(command.examples) <= 3
    assert len([line for line in found.get(COMMON, []) if line.startswith("  -")]) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_calls_that_the_command_takes(name: str) -> None:
    for line, _ in COMMANDS.get(name).examples:  # type: ignore[attr-defined]
        program, *words = shlex.split(line)
        command = words.pop(0) if program == "seg-edge" else program.removeprefix("seg-")
        if "--config" in words:  # a file that is not there, and names DATA
            words = ["DATA", *(word for word in words if word not in ("--config", "model.options.toml"))]
        COMMANDS.get(command).make_context(command, words)


def test_a_mistyped_command_or_option_gets_the_nearest_one() -> None:
    for words, wanted in (
        (["trian"], "did you mean train?"),
        (["run", "--provdier", "cpu", "x"], "did you mean --provider"),
    ):
        done = seg_edge(*words)
        assert (done.exit_code, wanted in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "--steps", "3"], "error: --steps is an option of seg-edge train. See --help."),
        (["run", "--config=x"], "error: --config is an option of seg-edge train. See --help."),
        (["import", "--json", "x"], "error: --json is an option of seg-edge check and evaluate. See --help."),
        (["run", "--images", "x"], "error: there is no option --images; IMAGES is given without one. See --help."),
        (["train", "--data", "x"], "error: there is no option --data; DATA is given without one. See --help."),
        (["run", "--zzz"], "error: there is no option --zzz. See --help."),
        (["train"], "error: Missing argument DATA. See --help."),
    ],
    ids=" ".join,
)
def test_an_option_that_a_command_does_not_have_leads_to_the_right_one(words: list[str], told: str) -> None:
    done = seg_edge(*words)
    assert (done.exit_code, done.stderr) == (2, f"{told}\n")


def test_the_same_option_has_the_same_words_in_every_command_that_runs_a_model() -> None:
    texts: dict[str, set[str]] = {}
    for name in ("run", "self-test", "tune"):
        for param in COMMANDS.get(name).params:
            if param.opts[0] in ("--threads", "--require-signature"):
                texts.setdefault(param.opts[0], set()).add(getattr(param, "help", ""))
    assert {flag: len(found) for flag, found in texts.items()} == {"--threads": 1, "--require-signature": 1}


@pytest.mark.parametrize(
    ("call", "flag", "command"),
    [(seg_run, "--doctor", "doctor"), (seg_run, "--self-test", "self-test"), (seg_train, "--list-recipes", "recipes")],
)
def test_an_option_that_became_a_command_names_it(call, flag: str, command: str) -> None:
    done = call(flag)
    assert done.exit_code == 2
    assert f"{flag} is now a command: run `seg-edge {command}`" in done.stderr


def test_a_command_that_cannot_be_loaded_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        name, value = "broken", "nowhere:main"

        def load(self) -> click.Command:
            raise ImportError("no module nowhere")

    monkeypatch.setitem(COMMANDS._offered, "broken", Broken())
    told = ok(seg_edge()).stdout
    assert "broken" in told
    assert "2. train" in told
    assert "cannot be loaded" in seg_edge("broken").stderr


def test_the_three_short_commands_are_those_of_the_program() -> None:
    assert isinstance(main, click.Group)
    for name, call in (("run", seg_run), ("train", seg_train)):
        assert call("--help").stdout.splitlines()[3:] == seg_edge(name, "--help").stdout.splitlines()[3:]
