"""What `seg-run` shows: a progress bar, and the outcome at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import click

from ..support import alike, counted, warned_once
from .commandline import note

OTHERS = " is the record of "  # in the error about a result of another run
_MOST_NOTES = 10  # lines on stderr
_TICKS = 1000  # steps of the progress bar per image


@dataclass
class Outcome:
    """The results of a run.

    Attributes:
        done: number of images that were segmented.
        skipped: number of images with results of an earlier run.
        failed: an error for each image that failed.
        notes: notes about images.
        legend: what the pixel values of masks mean; empty if no masks of classes are written.
    """

    done: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    legend: str = ""

    def add(self, result: str, error: bool = False) -> None:
        """Count the result of one image: `done`, `skipped`, a note about it, or its error."""
        if error:
            self.failed.append(result)
        elif result == "skipped":
            self.skipped += 1
        else:
            self.done += 1
            self.notes += [result] if result != "done" else []

    def report(self, out: Path) -> None:
        """Print notes and errors on stderr, and the numbers on stdout."""
        notes = warned_once(self.notes)
        for text in notes[:_MOST_NOTES]:
            note(text)
        if (more := len(notes) - _MOST_NOTES) > 0:
            note(f"{counted(more, 'more note')}; the records list the warnings about each image")
        for first, others in alike(self.failed, OTHERS):  # results of one other run are no fault of an image
            same = f" The same holds for {counted(len(others), 'more result')}." if others else ""
            click.echo(f"error: {first}{same}", err=True)
        parts = [f"{self.done} segmented"]
        if self.skipped:
            parts.append(f"{self.skipped} already done")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        where = f"; results in {click.format_filename(out)}" if self.done or self.skipped else ""
        click.echo(", ".join(parts) + where)
        if self.legend and self.done:
            click.echo(f"pixel values of masks: {self.legend}")


class Watcher(Protocol):
    """Watches a run. Images are named by the paths of their results, without suffixes."""

    def select(self, names: Sequence[str]) -> Sequence[str]:
        """Return those of the images to segment."""

    def advance(self, name: str, share: float) -> None:
        """Take notice of the share of an image that is done."""

    def end(self, name: str, result: str, error: bool) -> None:
        """Take notice of the result of an image, see `Outcome.add`."""


class Bar:
    """A watcher that shows a progress bar on stderr, from `select` on, and counts the results.

    Attributes:
        outcome: the results so far.
        names: the images of the run.
    """

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.names: Sequence[str] = ()
        self._bar: Any = None
        self._shown: dict[str, int] = {}

    def select(self, names: Sequence[str]) -> Sequence[str]:
        """Start the bar."""
        self.names = names
        length = _TICKS * max(1, len(names))
        self._bar = click.progressbar(length=length, label="segmenting", file=sys.stderr)
        self._bar.__enter__()
        return names

    def advance(self, name: str, share: float) -> None:
        """Move the bar."""
        now = int(share * _TICKS)
        self._bar.update(now - self._shown.get(name, 0))
        self._shown[name] = now

    def end(self, name: str, result: str, error: bool) -> None:
        """Count the result of an image and complete its share."""
        self.outcome.add(result, error)
        self.advance(name, 1.0)

    def close(self) -> None:
        """End the line of the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
