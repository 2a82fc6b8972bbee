"""`seg-edge evaluate`: a checkpoint and a data set -> scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        (
            "seg-edge evaluate model.pt data --metrics ap,f1,count --csv scores.csv --worst worst.png",
            "Score objects, list the scores of each image, and draw the worst",
        ),
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
    _check_targets({"--json": target, "--csv": options.csv_path, "--worst": options.worst_path}, model)
    from ..training import evaluate  # torch is slow to import: --help and wrong options work without it

    objective, result = evaluate(model, data, options, say, bar)
    report = {"model": str(model), "data": str(data), "tta": options.tta, **result}
    show(objective.table(result), report)
    if target:
        text = json.dumps(report, indent=2) + "\n"
        write_atomic(target, lambda file: file.write(text.encode()))


def _check_targets(targets: Mapping[str, Path | None], model: Path) -> None:
    """Check the files to write, by their options.

    Raises:
        OptionsError: if one of them is the model, two are the same, or a picture is not named as PNG.
    """
    picture = targets["--worst"]
    if picture and picture.suffix.lower() != ".png":
        raise OptionsError(f"--worst is {picture}", "a name that ends with .png", "choose such a name")
    taken = {model.resolve(): "the model file"}
    for flag, path in targets.items():
        if path is None:
            continue
        if (other := taken.get(path.resolve())) is not None:
            raise OptionsError(f"{flag} {path} is {other}", "", "choose another file")
        taken[path.resolve()] = f"the file of {flag} too"
