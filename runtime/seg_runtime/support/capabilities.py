"""Which options fit together: tables of rules, checked before any work starts.

The rules of a command make its errors, its notes and its table in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import OptionsError, SegError

O = TypeVar("O")  # noqa: E741 - the options, and what is known besides them


@dataclass(frozen=True)
class Rule(Generic[O]):
    """One line of a table: an option, and what it needs.

    Attributes:
        option: as a person writes it: `--batch`.
        given: whether somebody gave it.
        fits: whether the rest fits it.
        needs: what it needs, for people: `--host-ready`, "a model of classes".
        advice: what to do instead; of a harmless option why it does nothing.
        harmless: it does nothing where it does not fit: a note, not a refusal.
    """

    option: str
    given: Callable[[O], bool]
    fits: Callable[[O], bool]
    needs: str
    advice: str
    harmless: bool = False


def check(rules: Sequence[Rule[O]], options: O, error: type[SegError] = OptionsError) -> list[str]:
    """Refuse options that contradict each other.

    Args:
        rules: the table.
        options: what its rules look at.
        error: the class to raise: `ModelError` where the options fit together, but not this model.

    Returns:
        A note for each harmless option that does nothing.

    Raises:
        SegError: an `error` about the first option that does not fit, what it needs and what to do.
    """
    broken = [rule for rule in rules if rule.given(options) and not rule.fits(options)]
    if harmful := next((rule for rule in broken if not rule.harmless), None):
        raise error(f"{harmful.option} needs {harmful.needs}", "", harmful.advice)
    return [f"{rule.advice}, so {rule.option} is ignored" for rule in broken]


def described(rules: Sequence[Rule[O]]) -> str:
    """The table for the documentation, in Markdown."""
    rows = [(f"`{r.option}`", r.needs, "a note" if r.harmless else "an error", r.advice) for r in rules]
    lines = ["| option | needs | otherwise | what to do |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
