"""Options of a command as fields of a dataclass: each is named, typed, explained and given its default there and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

PATH = click.Path(path_type=Path)
_F = TypeVar("_F", bound=Callable[..., Any])


def option(default: Any, text: str, kind: Any = None, *, flag: str = "", of: str = "", **more: Any) -> Any:
    """A field that is an option.

    Args:
        default: of the option.
        text: its help.
        kind: what click converts and checks it by; None for text, or a flag where the default is False.
        flag: how it is written, where that is not the field's name with dashes.
        of: a group, which `Options.options` can choose.
        more: of `click.option`, such as `metavar` and `multiple`.
    """
    settings = {"type": kind, **({"is_flag": True} if default is False else {}), **more}
    return field(default=default, metadata={"flag": flag, "of": of, "help": text, "click": settings})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a command. Subclasses are frozen dataclasses, whose fields made by `option` are the options."""

    @classmethod
    def options(cls, of: str = "") -> dict[str, Field[Any]]:
        """Fields that are options, by how they are written on the command line, `--val-list`.

        Args:
            of: takes those of this group only; empty for all.
        """
        return {_flag(f): f for f in fields(cls) if "help" in f.metadata and of in ("", f.metadata["of"])}


def _flag(option: Field[Any]) -> str:
    flag: str = option.metadata.get("flag") or f"--{option.name.replace('_', '-')}"
    return flag


def options_of(*classes: type[Options]) -> Callable[[_F], _F]:
    """A decorator that gives a command an option for each field of the classes, each once."""
    found = {flag: f for kind in classes for flag, f in kind.options().items()}

    def decorate(command: _F) -> _F:
        for flag, f in reversed(found.items()):
            about = f.metadata
            command = click.option(flag, f.name, default=f.default, help=about["help"], **about["click"])(command)
        return command

    return decorate
