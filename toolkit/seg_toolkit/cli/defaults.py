"""Defaults of a call that come from elsewhere: `--recipe` and `--config`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from seg_runtime.cli.options import COMMON, PATH, GroupedOption

from ..options import load_recipe, read_config

_F = TypeVar("_F", bound=Callable[..., Any])


class DataArgument(click.Argument):
    """An argument that a configuration file can give instead, so the usage shows it in brackets."""

    def make_metavar(self, ctx: click.Context) -> str:
        """Return the name in brackets."""
        return f"[{(self.name or '').upper()}]"

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the name, which errors show without brackets."""
        return (self.name or "").upper()


def recipe_option(command: _F) -> _F:
    """Add `--recipe` to a command. The options of the recipe become defaults; a configuration file overrides them."""
    option = click.option(
        "--recipe", cls=GroupedOption, group=COMMON, is_eager=True, callback=_take_recipe, metavar="NAME",
        help="Start from the settings of a task, see seg-edge recipes. Other options override them.",
    )  # fmt: skip
    return option(command)


def config_option(command: _F) -> _F:
    """Add `--config` to a command. The options in the file become defaults."""
    option = click.option(
        "--config", cls=GroupedOption, group=COMMON, is_eager=True, expose_value=False, callback=_take_config, type=PATH,
        metavar="FILE.TOML", help="Read options from a file. Options on the command line override it.",
    )  # fmt: skip
    return option(command)


def _take_recipe(context: click.Context, option: click.Parameter, name: str | None) -> str:
    if name:
        context.default_map = {**load_recipe(name).options, **(context.default_map or {})}
    return name or ""


def _take_config(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.default_map = {**(context.default_map or {}), **read_config(path, context.command.params)}
