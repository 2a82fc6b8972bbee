"""`seg-edge doctor`: what this machine has, and what is wrong with it."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..support import ProviderError
from .arguments import DeviceOptions
from .commandline import Command, show, version_option
from .options import options_of


@click.command(
    cls=Command,
    short_help="Check this machine: packages, GPU libraries, processor.",
    examples=[
        ("seg-edge doctor", "See which providers work here, and how to repair those that do not"),
        ("seg-edge doctor --provider cuda", "Check that CUDA works: exit code 3 if it does not"),
    ],
)
@options_of(DeviceOptions)
@version_option()
def main(**values: Any) -> None:
    """Report what this machine has and what is wrong with it. No model is needed.

    It lists the ONNX Runtime packages, the providers that really compute, missing libraries, CUDA and cuDNN, the processor
    and the threads, and says how to repair what does not work: a table on stderr, JSON on stdout.
    """
    from ..checks import doctor_table, examine

    report = examine(DeviceOptions(**values).provider)
    show(doctor_table(report), report)
    sys.exit(0 if report["works"] else ProviderError.exit_code)
