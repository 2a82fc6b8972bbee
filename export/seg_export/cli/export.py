"""seg-export: model.pt -> model.onnx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, note, progress_bars, version_option
from seg_runtime.cli.options import COMMON, PATH, GroupedOption
from seg_runtime.model import Contract
from seg_runtime.support import OptionsError, check_writable, require_extra, write_atomic

from ..options import ExportOptions, Watching
from ..rules import check_options


@click.command(
    cls=Command,
    short_help="Export a checkpoint to one proven ONNX file.",
    examples=[
        ("seg-export model.pt model.onnx", "Export a model, proven on generated images"),
        ("seg-export model.pt model.onnx --images data/images", "Prove it on your own images"),
        ("seg-export model.pt fast.onnx --optimize", "Make it faster on CPU"),
    ],
)
@click.argument("model", type=PATH)
@click.argument("target", type=PATH)
@ExportOptions.decorate
@click.option(
    "--report", cls=GroupedOption, group=COMMON, type=PATH, metavar="FILE",
    help="Also write the figures as JSON, even if parity fails.",
)  # fmt: skip
@version_option()
def main(model: Path, target: Path, report: Path | None, **values: Any) -> None:
    """Export checkpoint MODEL to the ONNX file TARGET, after proving that both give the same results.

    If parity does not hold, the table is printed, the exit code is 1, and TARGET is not changed.
    """
    if target.suffix.lower() != ".onnx":
        problem = f"the target {target} does not end in .onnx"
        raise OptionsError(problem, "", f"use a name such as {target.with_suffix('.onnx')}")
    options = ExportOptions(**values)
    check_options(options)
    require_extra("export", "torch", "scipy", "onnx", "onnxscript", "onnxruntime")
    if report is not None:
        if report.resolve() in (model.resolve(), target.resolve()):
            raise OptionsError(f"--report {report} is the model or the target", "", "choose another file")
        check_writable(report)
    check_writable(target)
    from seg_toolkit.checkpoints import load  # torch is slow to import: --help and wrong options work without it

    from ..pipeline import export, write

    checkpoint = load(model)

    def show(figures: str, contract: Contract) -> None:
        click.echo(figures)
        if report:
            text = json.dumps(_report(contract, model, target), indent=2)
            write_atomic(report, lambda file: file.write(text.encode()))

    exported = export(
        checkpoint, options, Watching(progress_bars(), show, note, lambda text: click.echo(text, err=True))
    )
    write(exported, target)
    sizes = f"{len(exported.content) / 1e6:.1f} MB, of which {exported.golden_bytes / 1e6:.2f} MB are golden samples"
    click.echo(f"wrote {target} ({sizes})")


def _report(contract: Contract, model: Path, target: Path) -> dict[str, Any]:
    """Report of an export for JSON."""
    parity, provenance = dict(contract.parity), dict(contract.provenance)
    return {"model": str(model), "target": str(target), "parity": parity, "provenance": provenance}
