"""Options of a command as fields of a dataclass: each is named, typed, explained and given its default there and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

PATH = click.Path(path_type=Path)
COMMON = "Most used"
"""Title of the options that help shows first."""
GROUPS = (
    COMMON, "Data", "Network", "Training", "Device", "Proof", "Precision and speed", "Form of the file", "Model and device",
    "Speed and memory", "Input and output", "Output", "Other",
)  # fmt: skip
"""Titles of groups of options, in the order in which help shows them."""
_F = TypeVar("_F", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that help lists under a title."""

    def __init__(self, *names: Any, group: str = "Other", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.group = group


def option(
    default: Any, text: str, kind: Any = None, *, group: str = "Other", common: bool = False, flag: str = "", of: str = "",
    **more: Any,
) -> Any:  # fmt: skip
    """A field that is an option.

    Args:
        default: of the option.
        text: its help.
        kind: what click converts and checks it by; None for text, or a flag where the default is False.
        group: the title that help lists it under.
        common: one of the ten that people use most, which help lists first.
        flag: how it is written, where that is not the field's name with dashes; several ways with commas.
        of: a set of options, which `Options.options` can choose.
        more: of `click.option`, such as `metavar` and `multiple`.
    """
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        more.setdefault("metavar", "N")
    settings = {
        "type": kind,
        "group": COMMON if common else group,
        **({"is_flag": True} if default is False else {}),
        **more,
    }
    return field(default=default, metadata={"flag": flag, "of": of, "group": group, "help": text, "click": settings})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a command. Subclasses are frozen dataclasses, whose fields made by `option` are the options."""

    @classmethod
    def options(cls, of: str = "") -> dict[str, Field[Any]]:
        """Fields that are options, by how they are written on the command line, `--val-list`.

        Args:
            of: takes those of this set only; empty for all.
        """
        return {_flags(f)[-1]: f for f in fields(cls) if "help" in f.metadata and of in ("", f.metadata["of"])}


def _flags(option: Field[Any]) -> list[str]:
    flag: str = option.metadata.get("flag") or f"--{option.name.replace('_', '-')}"
    return flag.split(",")


def options_of(kind: type[Options]) -> Callable[[_F], _F]:
    """A decorator that gives a command an option for each field of a class."""

    def decorate(command: _F) -> _F:
        for f in reversed(kind.options().values()):
            about = f.metadata
            made = click.option(
                *_flags(f), f.name, cls=GroupedOption, default=f.default, help=about["help"], **about["click"]
            )
            command = made(command)
        return command

    return decorate
