"""Defaults of a call that come from elsewhere: `--recipe`, `--config`, and the run that `--resume` continues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from seg_runtime.cli.options import COMMON, PATH, GroupedOption

from ..options import config_of, load_recipe, read_config

_F = TypeVar("_F", bound=Callable[..., Any])


_DECIDED = ("val_list", "fold")  # at the start of a run; its state has the split


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


def run_options(command: _F) -> _F:
    """Let `--out` and `--resume` be read first, and make the options of the run that is continued the defaults."""
    for param in getattr(command, "__click_params__", ()):
        if param.name in ("out", "resume"):
            param.is_eager, param.callback = True, _take_run
    return command


def _take_run(context: click.Context, option: click.Parameter, value: Any) -> Any:
    known = {**context.params, option.name or "": value}
    if known.get("resume") and known.get("out"):
        file = config_of(known["out"])
        found = read_config(file, context.command.params) if file.exists() else {}
        found = {name: given for name, given in found.items() if name not in _DECIDED}
        context.default_map = {**found, **(context.default_map or {})}
    return value


def without_rivals(values: dict[str, Any]) -> dict[str, Any]:
    """Drop the one of `--steps` and `--epochs` that comes from a file if the other one is on the command line."""
    context = click.get_current_context()
    line = click.core.ParameterSource.COMMANDLINE
    given = {name for name in ("steps", "epochs") if context.get_parameter_source(name) is line}
    return {**values, **{name: None for name in ("steps", "epochs") if given and name not in given}}


def parent_is_given() -> bool:
    """Whether `--from` is on the command line, and not only in the options of the run."""
    source = click.get_current_context().get_parameter_source("parent")
    return source is click.core.ParameterSource.COMMANDLINE
