"""`seg-edge tune`: rewrite a model into the forms that are fastest on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, progress_bars, show, version_option
from seg_runtime.cli.options import PATH

from ..tuning import TuneOptions, tune


@click.command(
    cls=Command,
    short_help="Make a model faster on this machine.",
    examples=[
        ("seg-edge tune model.onnx", "Write model.tuned.onnx if it is faster here"),
        ("seg-edge tune model.onnx -o fast.onnx --threads 4", "Tune it for four threads"),
    ],
)
@click.argument("model", type=PATH)
@TuneOptions.decorate
@version_option()
def main(model: Path, **values: Any) -> None:
    """Measure which form of each layer is fastest on this machine's processor, and write MODEL with these forms.

    The new file is compared with MODEL and with its golden samples before it is written. It is written only if it is at least 3 %
    faster; otherwise the command says so and ends with exit code 0. It takes a few minutes and needs the extra `tune`, but no
    torch. The table goes to stderr, JSON to stdout.
    """
    show(*tune(model, TuneOptions(**values), progress_bars()))
