"""Rules about which options can be combined, checked before any work starts.

The rules of a command define its errors, its notes and its table in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .errors import OptionsError, SegError

O = TypeVar("O")  # noqa: E741 - the options and other facts that rules check


@dataclass(frozen=True)
class Rule(Generic[O]):
    """An option and its requirement: one row of a rules table.

    Attributes:
        option: name on the command line, such as `--batch`.
        given: returns whether the option is set.
        fits: returns whether its requirement is met.
        requires: the requirement, as shown to the user: `--host-ready`, "a segmentation model".
        advice: what to do instead, an imperative sentence; for a harmless option a clause that says why it has no
            effect and that reads well before ", so --option is ignored".
        harmless: whether the option is ignored with a note, instead of an error, if its requirement is not met.
        problem: the problem in the error, if "--option needs requirement" does not read well.
    """

    option: str
    given: Callable[[O], bool]
    fits: Callable[[O], bool]
    requires: str
    advice: str
    harmless: bool = False
    problem: str = ""


def check(rules: Sequence[Rule[O]], options: O, error: type[SegError] = OptionsError) -> list[str]:
    """Check options against a table of rules.

    Args:
        rules: the table.
        options: the argument of the rules' functions.
        error: the class to raise, such as `ModelError` if the options are valid but do not fit the model.

    Returns:
        A note for each harmless option that is ignored.

    Raises:
        SegError: an `error` that names the first option whose requirement is not met, the requirement and the advice.
    """
    broken = [rule for rule in rules if rule.given(options) and not rule.fits(options)]
    if harmful := next((rule for rule in broken if not rule.harmless), None):
        raise error(harmful.problem or f"{harmful.option} needs {harmful.requires}", "", harmful.advice)
    return [f"{rule.advice}, so {rule.option} is ignored" for rule in broken]


def described(rules: Sequence[Rule[O]]) -> str:
    """Return the table as Markdown for the documentation. Options with the same rule share a row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for rule in rules:
        row = rule.requires, "a note" if rule.harmless else "an error", rule.advice
        rows.setdefault(row, []).append(f"`{rule.option}`")
    lines = ["| option | needs | otherwise | what to do |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join((', '.join(names), *row))} |" for row, names in rows.items())])
