"""A finding: what is suspicious in a data set, where, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seg_runtime.support import DataError, SegError, named, one_line

_SHOWN = 5  # names in a sentence, as in `named`
_MOST_LINES = 10  # in the first seconds of a training


@dataclass(frozen=True)
class Finding:
    """Something suspicious in a data set.

    Attributes:
        kind: what it is in one word, such as `copies`, for programs.
        text: a clause that says what is wrong.
        advice: an imperative sentence that says what to do.
        names: names of the cases or files.
        fatal: whether a training refuses the data set.
    """

    kind: str
    text: str
    advice: str = ""
    names: tuple[str, ...] = ()
    fatal: bool = False

    @classmethod
    def of_error(cls, kind: str, error: SegError, names: Sequence[str] = ()) -> Finding:
        """Make a finding from the error with which a training would end."""
        text = f"{error.problem}; expected {error.expected}" if error.expected else error.problem
        return cls(kind, one_line(text), error.advice, tuple(names), fatal=True)

    @property
    def sentence(self) -> str:
        """The finding as text, with the first few names."""
        where = self._where
        advice = f". {self.advice[0].upper()}{self.advice[1:]}." if self.advice else ""
        return f"{self.text}{where}{advice}"

    def error(self) -> DataError:
        """Return the error of a training that refuses the data set."""
        return DataError(f"{self.text}{self._where}", "", self.advice)

    @property
    def _where(self) -> str:
        """The first few names, unless the text has them."""
        return "" if all(name in self.text for name in self.names[:_SHOWN]) else f": {named(self.names)}"


def said(findings: Sequence[Finding], data: object) -> list[str]:
    """Return the notes of a training about the findings in a folder, at most ten lines.

    Raises:
        DataError: for the first finding with which a training cannot start.
    """
    for finding in findings:
        if finding.fatal:
            raise finding.error()
    lines = [f"note: {finding.sentence}" for finding in findings]
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], f"note: {len(lines) - _MOST_LINES + 1} more findings"]
    return [*lines, f"note: see them with seg-edge check {data} -o check.html"] if lines else []
