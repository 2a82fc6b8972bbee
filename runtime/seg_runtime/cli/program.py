"""`seg-edge`: all commands under one name. Packages offer them by entry points of the group `seg_edge.commands`."""

from __future__ import annotations

from typing import Any

import click

from ..support import Registry, SegError, instance_of
from .commandline import SETTINGS, Program, version_option

COMMANDS: Registry[click.Command] = Registry("seg_edge.commands", "command", {}, instance_of(click.Command))
USUAL = ("train", "evaluate", "export", "self-test", "run")
"""The usual way from images to masks, in order."""


class _Commands(Program, click.Group):
    """All commands; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those of the usual way, then the others."""
        names = COMMANDS.names()
        return [*(name for name in USUAL if name in names), *(name for name in names if name not in USUAL)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of a name, None where there is none.

        Raises:
            SegError: the package that offers it cannot be loaded.
        """
        return COMMANDS.get(name) if name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, but propose the nearest name for an unknown one."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), 1)
            raise click.UsageError(f"no command {name!r}{f'; did you mean {near[0]}?' if near else ''}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usual way, numbered, and the others."""
        names = self.list_commands(ctx)
        usual = [name for name in names if name in USUAL]
        with formatter.section("The usual way, from images and masks to results"):
            formatter.write_dl([(f"{place}. {name}", _about(ctx, name)) for place, name in enumerate(usual, 1)])
        with formatter.section("More"):
            formatter.write_dl([(name, _about(ctx, name)) for name in names if name not in USUAL])


def _about(ctx: click.Context, name: str) -> str:
    try:
        return COMMANDS.get(name).get_short_help_str(80)
    except SegError as error:  # of a package that is not whole, which must not hide the others
        return str(error)


@click.command(cls=_Commands, invoke_without_command=True, context_settings=SETTINGS)
@version_option()
@click.pass_context
def main(context: click.Context) -> None:
    """Train a U-Net on biomedical images, export it to one proven ONNX file, and run that file without torch.

    `seg-edge COMMAND --help` explains a command. `seg-train`, `seg-export` and `seg-run` are short for `seg-edge train`,
    `export` and `run`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
