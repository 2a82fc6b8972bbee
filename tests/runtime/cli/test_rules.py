"""The tables of seg-run's options: complete, as documented, and what they say to whom."""

from __future__ import annotations

from dataclasses import fields

import click
import pytest
from seg_runtime.cli.arguments import DOCTOR, IMAGES, MODES, SELF_TEST, TUNE, Arguments
from seg_runtime.cli.rules import MODEL_RULES, RULES
from seg_runtime.cli.run import main
from seg_runtime.pipeline import tta
from seg_runtime.support import OptionsError, Rule, check
from seg_runtime.support.capabilities import described

from tests.support.commands import written
from tests.support.places import ROOT


def test_every_parameter_is_a_field_of_the_arguments() -> None:
    parameters = {p.name for p in main.params} - {"version", "help"}
    assert {f.name for f in fields(Arguments)} - {"written"} == parameters


def test_every_option_has_a_rule_for_the_modes_that_look_at_it() -> None:
    options = {p.opts[0] for p in main.params if isinstance(p, click.Option)} - {"--version", "--help", "-h"}
    ruled = {rule.option for rule in RULES if rule.harmless}
    assert options - ruled == {"--provider", SELF_TEST, TUNE, DOCTOR}


@pytest.mark.parametrize("rules", [RULES, MODEL_RULES, tta.RULES])
def test_the_documentation_has_the_tables(rules: tuple[Rule[object], ...]) -> None:
    page = (ROOT / "docs" / "options.md").read_text() + "\n"
    assert f"\n\n{described(rules)}\n\n" in page, described(rules)  # whole tables


@pytest.mark.parametrize(
    ("words", "modes"),
    [
        (["a.png"], [IMAGES]),
        (["--self-test"], [SELF_TEST]),
        (["--tune", "m.onnx"], [TUNE]),
        (["--doctor"], [DOCTOR]),
        ([], []),
        (["a.png", "--doctor"], [IMAGES, DOCTOR]),
        (["--self-test", "--tune"], [SELF_TEST, TUNE]),
    ],
)
def test_one_mode_or_an_error(words: list[str], modes: list[str]) -> None:
    arguments = written(*words)
    assert arguments.modes == modes
    if len(modes) == 1:
        assert check(RULES, arguments) == []
    else:
        with pytest.raises(OptionsError, match=f"seg-run needs one of {', '.join(MODES)}") as caught:
            check(RULES, arguments)
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        (["a.png", "--overlay", "--jobs", "3", "--tta"], []),
        (["--self-test", "--tta"], ["--tta is ignored: --self-test, --tune and --doctor do not use it"]),
        (["--self-test", "--cuda-graph", "--threads", "1"], []),
        (["--self-test", "--out", "x"], ["--out is ignored: --self-test and --doctor do not use it"]),
        (["--doctor", "--model", "m.onnx"], ["--model is ignored: --doctor does not use it"]),
        (["--tune", "m.onnx", "--out", "x", "--overwrite", "--threads", "1", "--require-signature", "k"], []),
        (["--tune", "m.onnx", "--fast-math"], ["--fast-math is ignored: --tune and --doctor do not use it"]),
        (["--tune", "m.onnx", "--provider", "cpu"], []),
    ],
)
def test_what_a_mode_does_not_look_at_is_a_note(words: list[str], notes: list[str]) -> None:
    assert check(RULES, written(*words)) == notes


def test_an_option_from_the_environment_is_no_word_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_CACHE", "somewhere")
    arguments = written("--doctor")
    assert str(arguments.cache) == "somewhere"
    assert check(RULES, arguments) == []


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "openvino"])
def test_tuning_is_for_the_provider_whose_kernels_it_measures(provider: str) -> None:
    with pytest.raises(OptionsError, match="--tune needs --provider cpu"):
        check(RULES, written("--tune", "m.onnx", "--provider", provider))
