"""Lines and bars on stderr, which show what a long command does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click


def say(text: str) -> None:
    """A line for a person."""
    click.echo(text, err=True)


def bar(label: str, length: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """A bar of a label and a length: it passes things on, and shows how many are done."""

    def over(things: Iterable[Any]) -> Iterable[Any]:
        with click.progressbar(things, length=length, label=label, file=sys.stderr) as shown:
            yield from shown

    return over
