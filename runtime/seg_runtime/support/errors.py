"""The errors of seg-edge: one root, few children, each message says what came, what was wanted and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SegError(Exception):
    """Root of every error a person can cause. The command lines print it as one line and exit with `exit_code`.

    Args:
        came: what was found, in the words of the person who caused it.
        wanted: what would have been right; left out where `came` says it all.
        fix: what to do next.
    """

    exit_code = 1

    def __init__(self, came: str, wanted: str = "", fix: str = "") -> None:
        self.came, self.wanted, self.fix = came, wanted, fix
        text = came + (f"; wanted {wanted}" if wanted else "") + (f": {fix}" if fix else "")
        line = " ".join(text.split())  # one line, whatever a library put into `came`
        super().__init__(line.encode("utf-8", "backslashreplace").decode())  # file names may hold any bytes


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
        report: all figures, as `seg-run --self-test` prints them.
    """

    def __init__(self, came: str, wanted: str, fix: str, report: Mapping[str, Any]) -> None:
        super().__init__(came, wanted, fix)
        self.report = report
