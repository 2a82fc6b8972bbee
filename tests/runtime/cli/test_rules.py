"""The rules of options that depend on the model."""

from __future__ import annotations

import click
from seg_runtime.cli.rules import MODEL_RULES
from seg_runtime.cli.run import main


def test_every_rule_is_about_an_option_of_the_command() -> None:
    options = {flag for p in main.params if isinstance(p, click.Option) for flag in p.opts}
    assert {rule.option for rule in MODEL_RULES} <= options
