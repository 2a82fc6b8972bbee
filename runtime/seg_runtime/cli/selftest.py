"""`seg-edge self-test`: compare this device with torch on the golden samples in a model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..support import ModelError, SelfTestError, check
from .arguments import SelfTestOptions
from .commandline import Command, note, version_option, written
from .options import PATH
from .rules import MODEL_RULES, Loaded


@click.command(
    cls=Command,
    short_help="Check that this device gives the same results as torch.",
    examples=[
        ("seg-edge self-test model.onnx", "Test a model on the provider that auto chooses"),
        ("seg-edge self-test model.onnx --provider cuda", "Test it on CUDA"),
    ],
)
@click.argument("tested", metavar="[MODEL]...", nargs=-1, type=PATH)
@SelfTestOptions.decorate
@version_option()
def main(tested: tuple[Path, ...], **values: Any) -> None:
    """Run the golden samples stored in each MODEL on this device and compare the results with those of torch.

    Run this command after every update of a driver or of ONNX Runtime. The table goes to stderr, JSON to stdout. Exit
    code 1 means that the results on this device differ from those of torch at export.
    """
    from ..checks import self_test_table

    options = SelfTestOptions(**values, written=written())
    reports: list[Mapping[str, Any]] = []
    failed: list[SelfTestError] = []
    files = (*tested, *options.models) or options.files
    for path in files:
        try:
            with options.open(path, self_test=True) as segmenter:
                for text in check(MODEL_RULES, Loaded(options, segmenter.session), ModelError):
                    note(text)
                report: Mapping[str, Any] = segmenter.test_report or {}
        except SelfTestError as error:
            report = error.report
            failed.append(error)
        if len(files) > 1:
            click.echo(click.format_filename(path), err=True)
            report = {"file": str(path), **report}
        click.echo(self_test_table(report), err=True)
        reports.append(report)
    click.echo(json.dumps(reports if len(files) > 1 else reports[0], indent=2))
    if failed:
        raise failed[0]
