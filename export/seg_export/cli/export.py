"""seg-export: model.pt -> model.onnx."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from seg_runtime.cli.commandline import Command, progress_bar, progress_bars
from seg_runtime.model.contract import HOST_DTYPES, PRECISIONS, Contract
from seg_runtime.support.atomic import check_writable, write_atomic
from seg_runtime.support.errors import SegError
from seg_runtime.support.extras import require_extra

if TYPE_CHECKING:
    from ..pipeline import Watching
    from ..proof.parity import Limits, Parity


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
@click.version_option(package_name="seg-edge")
def main(
    model: Path, target: Path, images: Path | None, report: Path | None, input_size: str | None,
    golden: Path | None, host_ready: bool, host_dtype: str | None, host_probabilities: bool, codes: Path | None,
    precision: str, calibration: Path | None, reduce_range: bool | None, optimize: bool, tune: bool, batch: int,
) -> None:  # fmt: skip
    """Export checkpoint MODEL to the ONNX file TARGET, after proving that both answer alike.

    When parity does not hold, the table is printed, the exit code is 1, and TARGET stays as it was.
    """
    if target.suffix.lower() != ".onnx":
        raise SegError(f"target {target}", "a name that ends in .onnx", f"for example {target.with_suffix('.onnx')}")
    if (host_dtype or host_probabilities) and not host_ready:
        raise SegError("--host-dtype or --host-probabilities", "--host-ready beside it", "add it, or leave these out")
    _check_precision(precision, calibration, reduce_range, optimize or tune)
    _check_batch(batch, host_ready, optimize or tune)
    require_extra("export", "torch", "scipy", "onnx", "onnxscript", "onnxruntime")
    if report is not None:
        if report.resolve() in (model.resolve(), target.resolve()):
            raise SegError(f"--report {report} is the model or the target", "a file of its own", "choose another name")
        check_writable(report)
    check_writable(target)
    from seg_toolkit.checkpoints.checkpoint import load  # torch is heavy: --help and wrong options answer without it
    from seg_toolkit.planning.codes import with_codes

    from ..pipeline import export, report_dict, write
    from ..proof.parity import Limits
    from ..steps.hostready.prove import HostForm
    from ..steps.precision.make import Precision

    limits = Limits()
    checkpoint = load(model)
    other = Precision(precision, calibration, images, reduce_range) if calibration else None
    host = HostForm(host_dtype or "uint8", host_probabilities) if host_ready else None
    checkpoint.contract = with_codes(checkpoint.contract, codes)
    click.echo("exporting the graph …", err=True)

    def save(contract: Contract) -> None:
        if report:
            text = json.dumps(report_dict(contract, model, target), indent=2)
            write_atomic(report, lambda file: file.write(text.encode()))

    watching = _watching(limits, batch, save)
    exported = export(checkpoint, images, input_size, limits, host, golden, other, optimize, tune, batch, watching)
    write(exported, target)
    if figures := exported.contract.parity.get("host_ready"):
        click.echo("host-ready: {differing} of {pixels} px differ on {images} images".format(**figures))
    sizes = f"{len(exported.content) / 1e6:.1f} MB, {exported.golden_bytes / 1e6:.2f} of them golden samples"
    click.echo(f"wrote {target} ({sizes})")


def _watching(limits: Limits, batch: int, save: Callable[[Contract], None]) -> Watching:
    """Progress bars and tables; `save` gets the contract with the figures, before they are judged."""
    from ..pipeline import Watching

    def parity(figures: Parity, contract: Contract) -> None:
        click.echo(figures.table(limits, "ONNX fp32"))
        save(contract)

    def cost(table: str, contract: Contract) -> None:
        click.echo(table)
        save(contract)

    return Watching(
        windows=progress_bar("comparing windows"), hosts=progress_bar("comparing host-ready labels"),
        batches=progress_bar(f"comparing batches of {batch}"), forms=progress_bar("measuring forms"),
        precision=progress_bars(), parity=parity, cost=cost, tuned=click.echo,
    )  # fmt: skip


def _check_precision(precision: str, calibration: Path | None, reduce_range: bool | None, rewrite: bool) -> None:
    if precision == "fp32" and (calibration or reduce_range is not None):
        raise SegError(
            "--calibration or --reduce-range for fp32", "--precision beside it", "add it, or leave these out"
        )
    if precision != "fp32" and not calibration:
        fix = "add --calibration DIR, a folder of images like those that the model will see"
        raise SegError(f"--precision {precision} without --calibration", "real images", fix)
    if precision == "fp16" and reduce_range is not None:
        raise SegError("--reduce-range for fp16", "int8", "leave it out")
    if precision != "fp32" and rewrite:
        fix = "leave it out: int8 is rewritten in any case, and CUDA is best off with torch's own graph"
        raise SegError(f"--optimize or --tune for {precision}", "fp32", fix)


def _check_batch(batch: int, host_ready: bool, rewrite: bool) -> None:
    if batch > 1 and host_ready:
        fix = "leave one of the two out: the graph of a host-ready file takes its windows one by one"
        raise SegError("--batch and --host-ready", "one of them", fix)
    if batch > 1 and rewrite:
        fix = "leave one of the two out: Winograd's layers lay out one window"
        raise SegError("--batch and --optimize or --tune", "one of them", fix)
