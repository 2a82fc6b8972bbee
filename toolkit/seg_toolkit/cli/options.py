"""Options of the command line, made of the fields of option classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..options import DataOptions, flag_of, option_fields

T = TypeVar("T", bound=DataOptions)
F = TypeVar("F", bound=Callable[..., Any])


def options_of(*classes: type[DataOptions]) -> Callable[[F], F]:
    """A decorator that gives a command an option for each field of the classes, each once."""
    fields = {name: field for options in classes for name, field in option_fields(options).items()}

    def decorate(command: F) -> F:
        for name, field in reversed(fields.items()):
            about = field.metadata
            decorator = click.option(
                flag_of(field), name, default=field.default, help=about["help"], type=about["type"],
                metavar=about["metavar"] or None, is_flag=field.default is False,
            )  # fmt: skip
            command = decorator(command)
        return command

    return decorate


def filled(options: type[T], values: Mapping[str, Any], **more: Any) -> T:
    """Options of the values that a command got."""
    return options(**{name: values[name] for name in option_fields(options)}, **more)


def given_options(context: click.Context) -> frozenset[str]:
    """Names of the options that stand on the command line."""
    return frozenset(
        name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )
