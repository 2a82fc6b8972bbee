"""Messages and progress bars on stderr."""

from __future__ import annotations

import sys
import time
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


class Pace:
    """Estimate of how long a training takes, made once from its first steps.

    >>> clock = iter([0.0, 6.0, 12.0]).__next__
    >>> pace = Pace(102, clock)
    >>> [pace.after(step) for step in (1, 2, 3)]
    ['', '', 'about 10 min for the remaining 99 steps']
    """

    _LEAST_STEPS, _LEAST_S, _LEAST_LEFT_S = 2, 5.0, 60.0

    def __init__(self, steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up the estimate for a number of steps, with a clock in seconds."""
        self._steps, self._clock = steps, clock
        self._first: tuple[int, float] | None = None
        self._done = False

    def after(self, step: int) -> str:
        """Return the estimate once enough steps have passed, else an empty string.

        The first step is not counted, because it also starts the processes and the libraries.
        """
        if self._done:
            return ""
        now = self._clock()
        if self._first is None:
            self._first = step, now
            return ""
        done, seconds, left = step - self._first[0], now - self._first[1], self._steps - step
        if done < self._LEAST_STEPS or seconds < self._LEAST_S:
            return ""
        self._done = True
        remaining = seconds / done * left
        if remaining < self._LEAST_LEFT_S:
            return ""
        minutes = remaining / 60
        shown = f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
        return f"about {shown} for the remaining {left} steps"
