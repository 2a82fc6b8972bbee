"""Read all cases of a data set, and name all that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from seg_runtime.support import SegError, counted, named

from ..data import Case, Progress

_T = TypeVar("_T")


def each(
    cases: Sequence[Case], read: Callable[[Case], _T],
    progress: Progress = iter, failed: dict[str, SegError] | None = None,
) -> list[_T]:  # fmt: skip
    """Read cases one by one, and return what was read.

    Args:
        cases: cases.
        read: function that reads one.
        progress: wraps the cases to show progress.
        failed: receives the error of each case that cannot be read, by its name; None to raise one after the last case.

    Raises:
        SegError: the first error, with the names of the other cases that cannot be read.
    """
    found: list[_T] = []
    errors: dict[str, SegError] = {} if failed is None else failed
    for case in progress(cases):
        try:
            found.append(read(case))
        except SegError as error:
            errors[case.name] = error
    if errors and failed is None:
        (_, first), *others = errors.items()
        if others:
            names = [name for name, _ in others]
            more = f"{counted(len(others), 'more image')} cannot be used: {named(names)}"
            raise type(first)(f"{first.problem} ({more})", first.expected, first.advice) from first
        raise first
    return found
