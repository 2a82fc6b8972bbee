"""`seg-edge doctor`: check this machine."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..support import ProviderError
from .arguments import DeviceOptions
from .commandline import Command, show, version_option


@click.command(
    cls=Command,
    short_help="Check this machine: packages, GPU libraries, processor.",
    examples=[
        ("seg-edge doctor", "List the providers that work here and how to fix the others"),
        ("seg-edge doctor --provider cuda", "Check that CUDA works: exit code 3 if it does not"),
    ],
)
@DeviceOptions.decorate
@version_option()
def main(**values: Any) -> None:
    """Report what this machine can run and what is wrong with it. No model is needed.

    The report lists the ONNX Runtime packages, the providers that can actually run a model, missing libraries, the CUDA
    and cuDNN versions, the processor and the number of threads, and says how to fix each problem. The table goes to
    stderr, JSON to stdout.
    """
    from ..checks import doctor_table, examine

    report = examine(DeviceOptions(**values).provider)
    show(doctor_table(report), report)
    sys.exit(0 if report["works"] else ProviderError.exit_code)
