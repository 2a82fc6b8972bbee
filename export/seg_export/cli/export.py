"""seg-export: model.pt -> model.onnx."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.commandline import Command, progress_bars
from seg_runtime.model import HOST_DTYPES, PRECISIONS, Contract
from seg_runtime.support import SegError, check_writable, require_extra, write_atomic

from ..options import ExportOptions, Watching
from ..rules import check_options


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Prove parity on these real images [default: generated ones]. DIR, here and below, is a data set in the layout that"
    " the model was trained on, or else a folder of images, in itself or in its subfolder images.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the figures as JSON too, also when parity fails.",
)
@click.option(
    "--input-size",
    metavar="PX",
    help="Side of the window, 16k + 60 at depth 4, or one for each axis [default: the checkpoint's].",
)
@click.option(
    "--codes",
    type=click.Path(path_type=Path),
    metavar="FILE.JSON",
    help="What each class is in DICOM's codes, by its name.",
)
@click.option(
    "--golden",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep crops of real images in the file, too, for seg-run --self-test. Their pixels become part of the file: "
    "whoever gets it can look at them. Made-up images are kept always.",
)
@click.option(
    "--host-ready",
    is_flag=True,
    help="Put the whole pipeline into the graph: image of any size in, labels out, for hosts in any language.",
)
@click.option("--host-dtype", type=click.Choice(HOST_DTYPES), help="Grey values of its image. [default: uint8]")
@click.option("--host-probabilities", is_flag=True, help="Give it a second output, the probabilities (K, H, W).")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    help="Compute in int8 (CPU) or fp16 (CUDA): written only if its masks agree with those of fp32 on real images.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Real images that int8 or fp16 is fitted to, and judged by where --images names no others; the masks of a data set"
    " are used.",
)
@click.option(
    "--reduce-range/--no-reduce-range",
    default=None,
    show_default=False,
    help="Weights of int8 in 7 bits, for processors without VNNI or dot product. [default: as this processor needs]",
)
@click.option(
    "--optimize",
    is_flag=True,
    help="Rewrite the graph into operators that ONNX Runtime computes faster on CPU; int8 always is.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Windows that the file takes in one call, always N, for providers that gain from it; images of fewer pay for N.",
)
@click.option("--tune", is_flag=True, help="Rewrite it by what is fastest on this very machine: a minute of measuring.")
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="NAME",
    help="A further step, which an installed package offers; its outcome is proven against the file before it.",
)
@click.version_option(package_name="seg-edge")
def main(model: Path, target: Path, report: Path | None, **options: Any) -> None:
    """Export checkpoint MODEL to the ONNX file TARGET, after proving that both answer alike.

    When parity does not hold, the table is printed, the exit code is 1, and TARGET stays as it was.
    """
    if target.suffix.lower() != ".onnx":
        raise SegError(f"target {target}", "a name that ends in .onnx", f"for example {target.with_suffix('.onnx')}")
    chosen = ExportOptions(**options)  # the options below TARGET have the names of its fields
    check_options(chosen)
    require_extra("export", "torch", "scipy", "onnx", "onnxscript", "onnxruntime")
    if report is not None:
        if report.resolve() in (model.resolve(), target.resolve()):
            raise SegError(f"--report {report} is the model or the target", "a file of its own", "choose another name")
        check_writable(report)
    check_writable(target)
    from seg_toolkit.checkpoints import load  # torch is heavy: --help and wrong options answer without it

    from ..pipeline import export, write

    checkpoint = load(model)
    click.echo("exporting the graph …", err=True)

    def show(figures: str, contract: Contract) -> None:
        click.echo(figures)
        if report:
            text = json.dumps(_report(contract, model, target), indent=2)
            write_atomic(report, lambda file: file.write(text.encode()))

    def note(text: str) -> None:
        click.echo(f"note: {text}", err=True)

    exported = export(checkpoint, chosen, Watching(progress_bars(), show, note))
    write(exported, target)
    if figures := exported.contract.parity.get("host_ready"):
        click.echo("host-ready: {differing} of {pixels} px differ on {images} images".format(**figures))
    sizes = f"{len(exported.content) / 1e6:.1f} MB, {exported.golden_bytes / 1e6:.2f} of them golden samples"
    click.echo(f"wrote {target} ({sizes})")


def _report(contract: Contract, model: Path, target: Path) -> dict[str, Any]:
    """What a machine reads about an export."""
    parity, provenance = dict(contract.parity), dict(contract.provenance)
    return {"model": str(model), "target": str(target), "parity": parity, "provenance": provenance}
