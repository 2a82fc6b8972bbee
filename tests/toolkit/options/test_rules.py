"""Which options fit together: contradictions are errors, harmless ones get a note."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from seg_runtime.support import OptionsError, check
from seg_runtime.support.capabilities import described
from seg_toolkit.networks import NETWORKS
from seg_toolkit.options import (
    RULES,
    DataOptions,
    EvaluateOptions,
    ImportOptions,
    Request,
    TrainOptions,
)
from seg_toolkit.training import OBJECTIVES

from tests.support.commands import seg_train

IMPORT: dict[str, Any] = {"intensity": "scale"}


def notes(options: DataOptions, **known: Any) -> list[str]:
    return check(RULES, Request(options=options, **known))


def refused(options: DataOptions, **known: Any) -> str:
    with pytest.raises(OptionsError) as caught:
        notes(options, **known)
    return str(caught.value)


def test_plain_calls_have_nothing_to_note() -> None:
    for options in (TrainOptions(), ImportOptions(**IMPORT), EvaluateOptions()):
        assert notes(options) == []


def test_an_import_must_know_how_the_network_was_fed() -> None:
    assert refused(ImportOptions()).startswith("import needs --intensity")


def test_steps_and_epochs_exclude_each_other() -> None:
    assert (
        refused(TrainOptions(steps=1, epochs=1))
        == "--epochs and --steps both set the length of the training. Give one of them."
    )


def test_options_that_only_some_networks_take() -> None:
    options = TrainOptions(skip="resize", norm="batch", width=3)
    assert notes(options) == []  # nobody knows the network yet
    assert notes(options, network=NETWORKS.get("unet").options) == []
    assert notes(options, network=NETWORKS.get("ternaus").options) == [
        f"this network has no such option, so {flag} is ignored" for flag in ("--skip", "--norm")
    ]


@pytest.mark.parametrize(
    ("kind", "why", "ignored"),
    [
        ("labels", "this is not a regression", ["--loss", "--outputs"]),
        ("values", "this kind of output does not use it", ["--classes", "--class-weights", "--balance"]),
    ],
)
def test_options_that_only_some_answers_take(kind: str, why: str, ignored: list[str]) -> None:
    options = TrainOptions(classes="a=0,b=1", outputs="a", class_weights="root", loss="l1", balance=0.5)
    found = check(RULES, OBJECTIVES.get(kind).request(options))
    assert found == [f"{why}, so {flag} is ignored" for flag in ignored]


def test_an_answer_that_cannot_be_had_is_refused() -> None:
    values = OBJECTIVES.get("values")
    assert refused(TrainOptions(answer="values"), objective=(), fits_data=False).startswith("--answer needs a data set")
    assert refused(ImportOptions(**IMPORT), objective=(), importable=values.importable).startswith(
        "import needs labels"
    )
    for geometry, fits in (("fit", False), ("tile", True), ("auto", True)):
        request = values.request(TrainOptions(geometry=geometry))
        if fits:
            assert check(RULES, request) == []
        else:
            with pytest.raises(OptionsError, match="--geometry needs an output that can be resized"):
                check(RULES, request)


def test_every_option_that_only_some_take_is_taken_by_some() -> None:
    for of, registry in (("network", NETWORKS), ("answer", OBJECTIVES)):
        names = {field.name for field in TrainOptions.options(of).values()}
        assert names == {name for thing in registry.all() for name in thing.options}


def test_the_table_can_be_printed() -> None:
    lines = described(RULES).splitlines()
    assert len([line for line in lines if "this network has no such option" in line]) == 1
    assert {rule.option for rule in RULES} == {name for line in lines for name in re.findall("`(.*?)`", line)}
    assert "| `--epochs` | a training without --steps | an error |" in described(RULES)


def test_the_command_line_checks_before_it_looks_at_anything() -> None:
    done = seg_train("nowhere", "--steps", "1", "--epochs", "1")
    assert (done.exit_code, "--epochs and --steps both set" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"fold": "1/5", "val_fraction": 0.5}, "--fold chooses the validation images, so --val-fraction is ignored"),
        ({"fold": "1/5", "val_list": Path("a.txt")}, "--val-list chooses the validation images, so --fold is ignored"),
        ({"fold": "1/5"}, None),
        ({"val_fraction": 0.5}, None),
    ],
)
def test_one_option_chooses_the_validation_images(options: dict[str, Any], note: str | None) -> None:
    assert check(RULES, Request(options=TrainOptions(**options))) == ([note] if note else [])
