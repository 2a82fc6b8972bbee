"""`seg-run`: segment images and write masks, overlays and records."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engine import check_wheels
from ..model import ModelFile
from ..support import ImageError, ModelError, SegError, check, check_writable, counted, named, one_line
from .arguments import RunOptions
from .commandline import Command, Program, note, version_option, written
from .isolate import Reports, limit_memory, read_work, run_isolated
from .options import PATH
from .outcome import Bar, Outcome, Watcher
from .rules import MODEL_RULES, Loaded

if TYPE_CHECKING:
    from ..segmenter import Segmenter


@click.command(
    cls=Command,
    short_help="Segment images with an exported model.",
    examples=[
        ("seg-run --model model.onnx image.png", "Segment one image and write the results to the current folder"),
        (
            "seg-run --model model.onnx images --out results",
            "Segment the images of a folder and draw each result",
        ),
        ("seg-run --provider cuda image.png", "Run on CUDA; fail if it is not available"),
    ],
    moved={"--self-test": "self-test", "--tune": "tune", "--doctor": "doctor"},
)
@click.argument("images", nargs=-1, required=True, type=PATH)
@RunOptions.decorate
@version_option()
def main(images: tuple[Path, ...], **values: Any) -> None:
    """Segment IMAGES, which are files or folders, and write NAME_mask.png and NAME.json for each image.

    The pixel values of a mask are class indices. A regression model writes NAME_values.tif instead: float32 values in
    the units of its training targets. The mask of a NIfTI volume is NAME_mask.nii.gz on the voxel grid of the volume.
    The mask of a PDB or mmCIF structure is the map NAME_mask.mrc, aligned with the structure, and NAME.json lists the
    residues of each site. A folder of DICOM images is a study: each series gets one DICOM SEG. If each channel of a
    case is a separate file, such as NAME_dapi.tif and NAME_actin.tif, the files are read as one image.

    Images that already have results are skipped. Exit codes: 0 all images are done, 1 some images failed (each is
    listed), 2 wrong options, 3 the provider is not available, 130 interrupted.
    """
    options = RunOptions(**values, written=written())
    out = _folder(options.out)
    if options.report:
        check_writable(options.report)
    with contextlib.closing(Bar()) as bar:
        general = (run_isolated if options.isolate else run_images)(images, options, bar)
    bar.outcome.failed += general.failed
    bar.outcome.notes += general.notes
    bar.outcome.legend = general.legend
    bar.outcome.report(out)
    if options.report:
        from ..batch import write_report

        count = write_report(options.report, out, [Path(name) for name in bar.names], bar.outcome.failed)
        click.echo(f"report: {click.format_filename(options.report)}, {counted(count, 'image')}")
    if bar.outcome.failed:
        sys.exit(ImageError.exit_code)


def run_images(images: Sequence[Path], options: RunOptions, watcher: Watcher) -> Outcome:
    """Segment files and folders in this process.

    Args:
        images: files and folders.
        options: options of the call.
        watcher: chooses among the images and is told of each.

    Returns:
        Errors and notes that concern no single image.
    """
    if options.max_memory:
        limit_memory(options.max_memory)
    first, *others = options.files
    reading: list[Path | ModelFile] = [ModelFile(first), *others]
    # numpy and Pillow are imported while the model is read
    from ..batch import BatchOptions, check_summary, find_tasks, run_tasks, write_summary
    from ..formats import SourceOptions

    permit = SourceOptions(
        allow_missing=options.allow_missing, allow_irregular=options.allow_irregular, max_pixels=options.max_pixels
    )
    batch = BatchOptions(
        overlay=options.overlay, objects=options.objects, smallest_object=options.smallest_object, measure=options.measure,
        save=options.save, probabilities=options.probabilities or "", forms=options.forms, overwrite=options.overwrite,
        jobs=options.jobs, files=permit, spacing_mm=options.pixel_size,
    )  # fmt: skip
    outcome, ignored = Outcome(), list[Path]()
    with options.open(
        reading, tta=options.tta, accept_foreign=options.accept_foreign, resample=options.resample
    ) as segmenter:
        if warning := check_wheels(options.provider):
            click.echo(f"warning: {warning}", err=True)
        click.echo(one_line(f"provider: {segmenter.provider}{_detail(segmenter)}"), err=True)
        if options.report and segmenter.contract.classes:
            batch = replace(batch, measure=True)
        check_summary(options.out, batch)
        for text in check(MODEL_RULES, Loaded(options, segmenter.session), ModelError):
            note(text)
        if options.warm_up:
            segmenter.warm_up()
        tasks, failed = find_tasks(images, options.out, options.recursive, segmenter.contract, batch, ignored)
        outcome.failed += [str(error) for _, error in failed]
        known = {os.fsdecode(task.stem): task for task in tasks}
        chosen = [known[name] for name in watcher.select(list(known))]
        watch = lambda task, share: watcher.advance(os.fsdecode(task.stem), share)  # noqa: E731
        for task, result in run_tasks(segmenter, chosen, batch, watch):
            watcher.end(os.fsdecode(task.stem), str(result), isinstance(result, SegError))
    outcome.notes += write_summary(options.out, tasks, batch)
    if any(output.key.startswith("mask") for task in tasks for output in task.outputs):
        outcome.legend = ", ".join(f"{index} {c.name}" for index, c in enumerate(segmenter.contract.classes))
    outcome.notes += _notes_about(ignored)
    return outcome


def _notes_about(ignored: Sequence[Path]) -> list[str]:
    """Return notes about subfolders that were not searched, and about files that are not images."""
    notes = []
    if folders := [path for path in ignored if path.is_dir()]:
        ignored = [path for path in ignored if path not in folders]
        what = counted(len(folders), "subfolder")
        names = named([click.format_filename(path) for path in folders])
        notes.append(
            f"{what} not searched: {names}; pass --recursive to include {'it' if len(folders) == 1 else 'them'}"
        )
    if ignored:
        names = named([click.format_filename(path) for path in ignored])
        verb = "is no image" if len(ignored) == 1 else "are not images"
        files = counted(len(ignored), "file")
        notes.append(f"{files} in the folders {verb} that the model takes: {names}")
    return notes


def child() -> None:
    """Do the work of `run_isolated` in a process of its own, and report it to the parent."""

    def work_and_report() -> None:
        work = read_work()
        reports = Reports(work)
        general = run_images(work.images, work.options, reports)
        reports.send(failed=general.failed, notes=general.notes, legend=general.legend)

    Program("seg-run", callback=work_and_report).main([], "seg-run")


def _folder(out: Path) -> Path:
    there = next((place for place in (out, *out.absolute().parents) if os.path.exists(place)), out)  # noqa: PTH110 - raises on no name
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise SegError(f"--out {out} is not a writable folder", "", "choose another folder")
    return out


def _detail(segmenter: Segmenter) -> str:
    """Return why `auto` chose the CPU, or how many nodes of the model run on each provider."""
    session = segmenter.session
    if session.provider_reason:
        return f" ({session.provider_reason})"
    nodes = None if session.provider.universal else session.placement
    if not nodes:
        return ""
    return f" ({', '.join(f'{count} nodes on {name}' for name, count in nodes.items())})"
