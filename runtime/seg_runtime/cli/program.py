"""`seg-edge`: all commands under one name."""

from __future__ import annotations

from typing import Any

import click

from ..support import SegError
from .commandline import SETTINGS, Program, version_option
from .commands import COMMANDS as COMMANDS
from .commands import USUAL as USUAL
from .commands import in_order


class _Commands(Program, click.Group):
    """The group of all commands; each is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands of the typical workflow, then the others."""
        return in_order()

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command with a name, or None if it does not exist.

        Raises:
            SegError: the package that provides it cannot be loaded.
        """
        return COMMANDS.get(name) if name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Resolve a command as click does, but suggest the nearest name for an unknown one."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS:
            from difflib import get_close_matches

            near = get_close_matches(name, self.list_commands(ctx), 1)
            raise click.UsageError(f"unknown command {name!r}{f'; did you mean {near[0]}?' if near else ''}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the numbered commands of the typical workflow, then the others."""
        names = self.list_commands(ctx)
        usual = [name for name in names if name in USUAL]
        with formatter.section("Typical workflow, from images and masks to results"):
            formatter.write_dl([(f"{place}. {name}", _about(ctx, name)) for place, name in enumerate(usual, 1)])
        with formatter.section("Other commands"):
            formatter.write_dl([(name, _about(ctx, name)) for name in names if name not in USUAL])


def _about(ctx: click.Context, name: str) -> str:
    try:
        return COMMANDS.get(name).get_short_help_str(80)
    except SegError as error:  # a broken package must not hide the other commands
        return str(error)


@click.command(cls=_Commands, invoke_without_command=True, context_settings=SETTINGS)
@version_option()
@click.pass_context
def main(context: click.Context) -> None:
    """Train a U-Net on biomedical images, export it to one proven ONNX file, and run that file without torch.

    `seg-edge COMMAND --help` describes a command. `seg-train`, `seg-export` and `seg-run` are shorthand for
    `seg-edge train`, `seg-edge export` and `seg-edge run`.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
