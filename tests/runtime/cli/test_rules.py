"""The tables of options that depend on the model: as documented."""

from __future__ import annotations

import click
import pytest
from seg_runtime.cli.rules import MODEL_RULES
from seg_runtime.cli.run import main
from seg_runtime.pipeline import tta
from seg_runtime.support import Rule
from seg_runtime.support.capabilities import described

from tests.support.places import ROOT


def test_every_rule_is_about_an_option_of_the_command() -> None:
    options = {flag for p in main.params if isinstance(p, click.Option) for flag in p.opts}
    assert {rule.option for rule in MODEL_RULES} <= options


@pytest.mark.parametrize("rules", [MODEL_RULES, tta.RULES])
def test_the_documentation_has_the_tables(rules: tuple[Rule[object], ...]) -> None:
    page = (ROOT / "docs" / "options.md").read_text() + "\n"
    assert f"\n\n{described(rules)}\n\n" in page, described(rules)  # whole tables
