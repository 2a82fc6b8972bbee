"""`seg-edge check`: images and masks -> what is suspicious in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, show, version_option
from seg_runtime.cli.options import PATH
from seg_runtime.support import OptionsError, check_writable, require_extra, write_atomic

from ..options import CheckOptions
from .defaults import recipe_option
from .progress import bar


@click.command(
    cls=Command,
    short_help="Look at images and masks before a training.",
    examples=[
        ("seg-edge check data", "See what data/images and data/masks hold, and what is suspicious"),
        ("seg-edge check data -o check.html", "Also write a page with small pictures and outlines, for the browser"),
        ("seg-edge check data --classes background=0,cell=255", "Use the options with which you will train"),
    ],
)
@click.argument("data", type=PATH)
@recipe_option
@CheckOptions.decorate
@version_option()
def main(data: Path, recipe: str, **values: Any) -> int:
    """Look at the images and masks of DATA, and name what is suspicious in them, with what to do.

    The exit code is 1 if a training would refuse DATA, and 0 if not, even if something is suspicious.
    """
    require_extra("train", "scipy")
    options = CheckOptions(**values)
    target = options.out
    if target is not None:
        if target.suffix.lower() not in (".html", ".htm"):
            raise OptionsError(
                f"-o {target} is not the name of a page", "a name such as check.html", "correct the name"
            )
        check_writable(target)
    from ..inspection import as_json, as_table, examine, page  # scipy is slow to import

    found = examine(data, options, bar, pictures=target is not None)
    if options.as_json:
        show(as_table(found), as_json(found))
    else:
        click.echo(as_table(found))
    if target is not None:
        text = page(found)
        write_atomic(target, lambda file: file.write(text.encode()))
        click.echo(f"wrote {target}", err=True)
    elif not options.as_json:
        click.echo(f"see the images with their outlines: seg-edge check {data} -o check.html")
    return int(found.refused)
