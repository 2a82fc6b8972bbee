"""Command-line options as dataclass fields: the field alone defines an option's name, type, help and default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from ..model import Requirements
from ..support import OptionsError, parse_pixel_size

PATH = click.Path(path_type=Path, readable=False)  # a file that cannot be read must not stop the others
COMMON = "Most used"
"""Title of the group that help shows first."""
GROUPS = (
    COMMON, "Data", "Network", "Training", "Device", "Proof", "Precision and speed", "Form of the file", "Model and device",
    "Speed and memory", "Input and output", "Output", "Other",
)  # fmt: skip
"""Titles of the option groups, in the order of the help."""
_F = TypeVar("_F", bound=Callable[..., Any])


class Sides(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """The sides of a window in px: one number, or one for each axis with commas."""

    name = "px"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; a configuration file may hold a number."""
        text = str(value)
        if not all(side.strip().isdecimal() for side in text.split(",")):
            self.fail(f"{text!r} is not a size.", param, ctx)
        return text


class PixelSize(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """The sides of a pixel or voxel with their unit, as mm."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the sides in mm, see `parse_pixel_size`."""
        return value if isinstance(value, tuple) else parse_pixel_size(str(value))


class GroupedOption(click.Option):
    """An option that belongs to a group in the help."""

    def __init__(self, *names: Any, group: str = "Other", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.group = group

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert a value as click does, but say what the option takes if it does not take this value.

        Raises:
            OptionsError: if the value is no number, is out of range, or is not one of the choices.
        """
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            if not (expected := taken_by(self.type)):
                raise
            flag = max(self.opts, key=len)
            if _is_number(value, self.type):  # it is out of range
                raise OptionsError(f"{flag} is {value}", expected.rpartition("number of ")[2], "see --help") from error
            raise OptionsError(f"{flag} is {value!r}", expected, "see --help") from error


def taken_by(kind: click.ParamType[Any]) -> str:
    """Return what an option of a click type takes, such as "a whole number of 1 or more"; empty for text and paths."""
    if isinstance(kind, click.Choice):
        *others, last = map(str, kind.choices)
        return f"{', '.join(others)} or {last}" if others else last
    if isinstance(kind, type(click.BOOL)):
        return "true or false"
    if isinstance(kind, Sides):
        return "one number, or one for each axis, such as 572 or 116,132,132"
    if not isinstance(kind, (type(click.INT), type(click.FLOAT))):
        return ""
    number = "a whole number" if isinstance(kind, type(click.INT)) else "a number"
    return f"{number} {_bounds(kind)}" if isinstance(kind, (click.IntRange, click.FloatRange)) else number


def _bounds(kind: click.IntRange | click.FloatRange) -> str:
    if kind.min is not None and kind.max is not None and not (kind.min_open or kind.max_open):
        return f"from {kind.min} to {kind.max}"
    bounds = []
    if kind.min is not None:
        bounds.append(f"above {kind.min}" if kind.min_open else f"of {kind.min} or more")
    if kind.max is not None:
        bounds.append(f"below {kind.max}" if kind.max_open else f"up to {kind.max}")
    return " and ".join(bounds)


def _is_number(value: Any, kind: click.ParamType[Any]) -> bool:
    try:
        (int if isinstance(kind, type(click.INT)) else float)(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(kind, (click.Choice, Sides))


def option(
    default: Any, text: str, kind: Any = None, *, group: str = "Other", common: bool = False, flag: str = "", of: str = "",
    **more: Any,
) -> Any:  # fmt: skip
    """Return a dataclass field that is an option.

    Args:
        default: default value.
        text: help text.
        kind: click type; None for text, or for a flag if the default is False.
        group: title of its group in the help.
        common: whether it is one of the ten most used options, which the help lists first.
        flag: name on the command line, if it is not the field's name with dashes; separate several names with commas.
        of: name of a set of options that `Options.options` can select.
        more: arguments of `click.option`, such as `metavar` and `multiple`.
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


def threads_option(*, common: bool = False) -> Any:
    """Return the option `--threads`."""
    text = "Number of inference threads [default: all threads available to this process]."
    return option(None, text, click.IntRange(1), group="Speed and memory", common=common)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base class of a command's options: a frozen dataclass whose fields made by `option` are the options."""

    @classmethod
    def options(cls, of: str = "") -> dict[str, Field[Any]]:
        """Return the fields that are options, by their name on the command line, such as `--val-list`.

        Args:
            of: a set of options; empty for all.
        """
        return {_flags(f)[-1]: f for f in fields(cls) if "help" in f.metadata and of in ("", f.metadata["of"])}

    @classmethod
    def decorate(cls, command: _F) -> _F:
        """Add the options to a command; used as a decorator."""
        for f in reversed(cls.options().values()):
            about = f.metadata
            made = click.option(
                *_flags(f), f.name, cls=GroupedOption, default=f.default, help=about["help"], **about["click"]
            )
            command = made(command)
        return command


@dataclass(frozen=True, kw_only=True)
class RequirementOptions(Options):
    """The options that say what a model must be, so that it is used."""

    require_signature: Path | None = option(
        None, "Run the model only if MODEL.sig, in the same folder, is a valid signature for this public key (PEM).",
        PATH, group="Model and device", metavar="KEY.pub",
    )  # fmt: skip
    require_model: str | None = option(
        None, "Run the model only if seg-export gave it this name.", group="Model and device", metavar="NAME"
    )
    require_version: str | None = option(
        None, "With --require-model: run the model only if its version is this one or a later one, such as 1.2.",
        group="Model and device", metavar="VERSION",
    )  # fmt: skip
    require_sha256: tuple[str, ...] = option(
        (), "Run the model only if its file has this SHA-256. Repeat it to allow several files.",
        group="Model and device", multiple=True, metavar="HEX",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionsError: one is wrong, or there is a version without a name.
        """
        if self.require_version is not None and self.require_model is None:
            raise OptionsError("--require-version needs --require-model", "", "add it, or leave out both")
        self.require  # noqa: B018 - checks its fields

    @property
    def require(self) -> Requirements:
        """What the model must be."""
        models = {} if self.require_model is None else {self.require_model: self.require_version or ""}
        return Requirements(signature=self.require_signature, models=models, sha256=self.require_sha256)


def _flags(option: Field[Any]) -> list[str]:
    flag: str = option.metadata.get("flag") or f"--{option.name.replace('_', '-')}"
    return flag.split(",")
