"""`seg-edge evaluate`: a checkpoint and a data set -> scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, show, version_option
from seg_runtime.cli.options import PATH
from seg_runtime.support import OptionsError, check, require_extra, write_atomic

from ..options import RULES, EvaluateOptions, Request
from .progress import bar, say


@click.command(
    cls=Command,
    short_help="Score a checkpoint on images with masks.",
    examples=[
        ("seg-edge evaluate model.pt data", "Score the images of data that the model was not trained on"),
        (
            "seg-edge evaluate model.pt held-out --json scores.json",
            "Score images that training never saw, and keep the scores",
        ),
        ("seg-edge evaluate model.pt data --metrics hd95,surface-dice=2", "Measure distances between outlines too"),
    ],
)
@click.argument("model", type=PATH)
@click.argument("data", type=PATH)
@EvaluateOptions.decorate
@version_option()
def main(model: Path, data: Path, **values: Any) -> None:
    """Score the checkpoint MODEL on images of DATA: Dice, IoU, pixel error, and the measures of --metrics.

    Images that the model was trained on are left out, whatever their names.
    The table goes to stderr, JSON to stdout.
    """
    require_extra("train", "torch", "scipy")
    options = EvaluateOptions(**values)
    check(RULES, Request(options=options))  # errors only; the notes come with those that need the data
    target = options.json_path
    if target and target.resolve() == model.resolve():
        raise OptionsError(f"--json {target} is the model file", "", "choose another file")
    from ..training import evaluate  # torch is slow to import: --help and wrong options work without it

    objective, result = evaluate(model, data, options, say, bar)
    report = {"model": str(model), "data": str(data), "tta": options.tta, **result}
    show(objective.table(result), report)
    if target:
        text = json.dumps(report, indent=2) + "\n"
        write_atomic(target, lambda file: file.write(text.encode()))
