"""Messages and progress bars on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
from seg_runtime.support import one_line


def say(text: str) -> None:
    """Print a line to stderr."""
    click.echo(one_line(text), err=True)


def bar(label: str, length: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Make a progress bar that yields the items of an iterable and counts them."""

    def over(things: Iterable[Any]) -> Iterable[Any]:
        with click.progressbar(things, length=length, label=label, file=sys.stderr) as shown:
            yield from shown

    return over
