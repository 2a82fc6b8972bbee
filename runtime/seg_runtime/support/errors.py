"""The exceptions of seg-edge. A message says what is wrong, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST_LETTERS = 1000  # of each part of an error, which may quote a file or contain a library's dump of it


def one_line(text: str) -> str:
    r"""Return text as one line without characters that control a terminal or reverse the direction of writing.

    >>> print(one_line("a\x1b[2Jb.png\n\u202egnp.exe"))
    a\x1b[2Jb.png \u202egnp.exe
    """
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class SegError(Exception):
    """Base class of all errors that a user can cause. The commands print it as one line and exit with `exit_code`.

    >>> print(SegError("a.png has 2 channels", "1 or 3", "convert it to grey"))
    a.png has 2 channels; expected 1 or 3. Convert it to grey.

    Args:
        problem: a clause that says what is wrong, in the user's terms.
        expected: a noun phrase that completes "expected ..."; empty if it adds nothing.
        advice: an imperative sentence that says what to do.
    """

    exit_code = 1

    def __init__(self, problem: str, expected: str = "", advice: str = "") -> None:
        problem, expected, advice = (_shortened(part) for part in (problem, expected, advice))
        self.problem, self.expected, self.advice = problem, expected, advice
        text = f"{problem}; expected {expected}" if expected else problem
        if advice:
            text = f"{_ended(text)} {_ended(advice[0].upper() + advice[1:])}"
        super().__init__(one_line(text))  # a library's text may have several lines, a file name any bytes


def _shortened(text: str) -> str:
    """Leave out the middle of a text that is too long, since a path may be at either end."""
    half = _MOST_LETTERS // 2
    return text if len(text) <= _MOST_LETTERS else f"{text[:half]} … {text[-half:]}"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


class OptionsError(SegError):
    """An option has a value that it does not take, or options contradict each other."""

    exit_code = 2


class ContractError(SegError):
    """The contract of the model file is missing, inconsistent or of an unsupported version."""


class ModelError(SegError):
    """The model file or checkpoint cannot be read or does not match its contract."""


class ImageError(SegError):
    """The image cannot be read, or does not fit the model and cannot be converted without loss."""


class DataError(SegError):
    """The training data are not as declared: unmatched files, unexpected mask values, an empty folder."""


class ProviderError(SegError):
    """The requested execution provider is not available."""

    exit_code = 3


class InterruptedRunError(SegError):
    """The user pressed Ctrl-C, and all results so far are saved."""

    exit_code = 130


class CancelledError(SegError):
    """The program that called has cancelled the call."""


class ParityError(SegError):
    """An exported form of the model does not agree with the torch model."""


class SelfTestError(SegError):
    """The device does not reproduce the golden samples in the model file.

    Attributes:
        report: all figures, as printed by `seg-edge self-test`.
    """

    def __init__(self, problem: str, expected: str, advice: str, report: Mapping[str, Any]) -> None:
        super().__init__(problem, expected, advice)
        self.report = report
