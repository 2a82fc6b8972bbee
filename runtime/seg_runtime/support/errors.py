"""The errors of seg-edge: one root, few children. A message says what is wrong, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SegError(Exception):
    """Root of every error a person can cause. The command lines print it as one line and exit with `exit_code`.

    >>> print(SegError("a.png has 2 channels", "1 or 3", "convert it to grey"))
    a.png has 2 channels; expected 1 or 3. Convert it to grey.

    Args:
        problem: what is wrong, in the words of the person who caused it.
        expected: what would have been right; left out where `problem` says it all.
        advice: what to do next.
    """

    exit_code = 1

    def __init__(self, problem: str, expected: str = "", advice: str = "") -> None:
        self.problem, self.expected, self.advice = problem, expected, advice
        text = f"{problem}; expected {expected}" if expected else problem
        if advice:
            text = f"{_ended(text)} {_ended(advice[0].upper() + advice[1:])}"
        line = " ".join(text.split())  # one line, whatever a library put into `problem`
        super().__init__(line.encode("utf-8", "backslashreplace").decode())  # file names may hold any bytes


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


class OptionsError(SegError):
    """Options that do not fit together."""

    exit_code = 2


class ContractError(SegError):
    """The model file carries no contract, a newer one, or one that contradicts itself."""


class ModelError(SegError):
    """The model file or checkpoint cannot be read or is not what its contract says."""


class ImageError(SegError):
    """An image cannot be read, or does not fit the model and cannot be converted without loss."""


class DataError(SegError):
    """A training folder is not what was announced: unmatched files, stray mask values, nothing in it."""


class ProviderError(SegError):
    """The execution provider that was asked for cannot be had."""

    exit_code = 3


class InterruptedRunError(SegError):
    """Ctrl-C, after everything worth keeping was kept."""

    exit_code = 130


class ParityError(SegError):
    """A form of the model does not agree with the torch model."""


class SelfTestError(SegError):
    """The device does not answer the model file's golden samples as torch did.

    Attributes:
        report: all figures, as `seg-edge self-test` prints them.
    """

    def __init__(self, problem: str, expected: str, advice: str, report: Mapping[str, Any]) -> None:
        super().__init__(problem, expected, advice)
        self.report = report
