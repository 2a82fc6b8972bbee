"""`seg-edge recipes`: list the settings for common tasks."""

from __future__ import annotations

import click
from seg_runtime.cli.commandline import Command, version_option
from seg_runtime.support import SegError

from ..options import RECIPES, load_recipe


@click.command(
    cls=Command,
    short_help="List the settings for common tasks.",
    examples=[("seg-edge recipes", "See all recipes"), ("seg-train DATA --recipe skin-lesion", "Use one")],
)
@version_option()
def main() -> None:
    """List the recipes. A recipe has the settings of a task: network, geometry, classes, layout of the data."""
    names = RECIPES.names()
    width = max(map(len, names))
    for name in names:
        try:
            title = load_recipe(name).title
        except SegError as error:  # of another package, which must not hide the others
            title = f"error: {error}"
        click.echo(f"{name:<{width}}  {title}")
