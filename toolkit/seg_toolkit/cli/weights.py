"""`seg-edge import`: weights of a U-Net of another program -> model.pt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, version_option
from seg_runtime.cli.options import COMMON, PATH, GroupedOption
from seg_runtime.support import check, require_extra

from ..options import RULES, ImportOptions, Request
from .defaults import recipe_option
from .progress import bar, say


@click.command(
    cls=Command,
    short_help="Import a U-Net that was trained elsewhere.",
    examples=[
        (
            "seg-edge import state.pt data -o model.pt --intensity scale",
            "Import weights that were trained on images divided by 255",
        ),
        (
            "seg-edge import state.pt data --padding same --intensity zscore",
            "Import a padded network that was trained on images normalized one by one",
        ),
    ],
)
@click.argument("weights", metavar="STATE.PT", type=PATH)
@click.argument("data", type=PATH)
@click.option(
    "-o",
    "--out",
    cls=GroupedOption,
    group=COMMON,
    type=PATH,
    default="model.pt",
    help="The checkpoint that is written.",
)
@recipe_option
@ImportOptions.decorate
@version_option()
def main(weights: Path, data: Path, out: Path, recipe: str, **values: Any) -> None:
    """Copy the weights in STATE.PT into a network of seg-edge, score it on DATA, and write a checkpoint.

    The layers must come in the same order and have the same shapes as those of the network that the options describe. A low
    score on DATA shows that an option is wrong, most often --intensity.
    """
    require_extra("train", "torch", "scipy")
    options = ImportOptions(**values, recipe=recipe)
    check(RULES, Request(options=options))  # errors only; the notes come with those that need the data
    from ..training import import_weights

    objective, result = import_weights(weights, data, out, options, say, bar)
    click.echo(objective.table(result))
    click.echo(f"wrote {out}")
