"""seg-run: images -> masks, overlays, records."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..engine import check_wheels
from ..model import ModelFile
from ..support import VERSION, ImageError, ModelError, ProviderError, SegError, SelfTestError, check
from .arguments import DOCTOR, IMAGES, SELF_TEST, TUNE, Arguments
from .commandline import Command, progress_bars
from .options import PATH, options_of
from .rules import MODEL_RULES, RULES, Loaded

if TYPE_CHECKING:
    from ..batch import BatchOptions, Task
    from ..segmenter import Segmenter


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("images", nargs=-1, type=PATH)
@options_of(Arguments)
@click.version_option(VERSION)
def main(**parameters: Any) -> None:
    """Segment IMAGES (files or folders) and write NAME_mask.png and NAME.json for each.

    A mask is a palette picture: pixel value = class index; a regression writes NAME_values.tif, float32 in the units of its
    training, instead. The mask of a NIfTI volume is NAME_mask.nii.gz on its own grid, that
    of a PDB or mmCIF structure the map NAME_mask.mrc that lies over it, and NAME.json lists the residues at each site. A
    folder of DICOM images is a study: each series gets one DICOM SEG on its own grid, NAME_seg.dcm, NAME being the folder's. A model of channels that are files of one case takes
    NAME_dapi.tif, NAME_actin.tif and so on as one image. Images that are done already are skipped. Exit codes:
    0 all done, 1 some image failed (each is named), 2 wrong options, 3 the provider cannot be had. --self-test, --tune
    and --doctor take no IMAGES; they print a table on stderr and JSON on stdout. The first exits with 1 when the device
    answers otherwise than torch (several models are tested one by one, and one failure fails), the second when it writes
    nothing because of an error, the third with 3 when the provider asked for does not work. Where nothing is faster,
    --tune says so, writes nothing and exits with 0.
    """
    arguments = Arguments(**parameters, written=_written())
    _note(check(RULES, arguments))
    [mode] = arguments.modes
    {IMAGES: _segment, SELF_TEST: _self_test, TUNE: _tune, DOCTOR: _doctor}[mode](arguments)


def _written() -> frozenset[str]:
    """Names of the options on the command line, such as `--overlay`."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    return frozenset(p.opts[0] for p in context.command.params if context.get_parameter_source(p.name or "") is source)


def _note(notes: Sequence[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _models(arguments: Arguments) -> tuple[Path, ...]:
    return arguments.models or (Path(os.environ.get("SEG_MODEL") or "model.onnx"),)


def _segment(arguments: Arguments) -> None:
    out = _folder(arguments.out or Path())
    first, *others = _models(arguments)
    reading: list[Path | ModelFile] = [ModelFile(first), *others]
    from ..batch import BatchOptions, find_tasks  # numpy and Pillow are imported while the model is read

    options = BatchOptions(
        overlay=arguments.overlay, probabilities=arguments.probabilities or "", dicom_seg=arguments.dicom_seg or "",
        overwrite=arguments.overwrite, jobs=arguments.jobs, max_pixels=arguments.max_pixels,
    )  # fmt: skip
    with _opened(reading, arguments) as segmenter:
        if note := check_wheels(arguments.provider):
            click.echo(f"warning: {note}", err=True)
        click.echo(f"provider: {segmenter.provider}{_detail(segmenter)}", err=True)
        _note(check(MODEL_RULES, Loaded(arguments, segmenter.session), ModelError))
        if arguments.warm_up:
            segmenter.warm_up()
        tasks, failed = find_tasks(arguments.images, out, arguments.recursive, segmenter.contract, options)
        outcome = _run(segmenter, tasks, options)
    outcome.failed.extend(failed)
    _report(outcome, out)
    if outcome.failed:
        sys.exit(ImageError.exit_code)


def _folder(out: Path) -> Path:
    if os.path.exists(out) and not (out.is_dir() and os.access(out, os.W_OK)):  # noqa: PTH110 - odd names do not raise
        raise SegError(f"--out {out} is no folder that can be written to", "a folder", "name another")
    return out


def _opened(models: Path | Sequence[Path | ModelFile], arguments: Arguments) -> Segmenter:
    from ..segmenter import Segmenter

    return Segmenter(
        models, provider=arguments.provider, threads=arguments.threads, fast_math=arguments.fast_math,
        tta=arguments.tta and not arguments.self_test, self_test=arguments.self_test,
        require_signature=arguments.require_signature, tuning=arguments.tuning,
    )  # fmt: skip


def _detail(segmenter: Segmenter) -> str:
    """Why `auto` took the CPU, or how many of the model's nodes the provider really got."""
    session = segmenter.session
    if session.provider_reason:
        return f" ({session.provider_reason})"
    nodes = None if session.provider.universal else session.placement
    if not nodes:
        return ""
    return f" ({', '.join(f'{count} nodes on {name}' for name, count in nodes.items())})"


def _doctor(arguments: Arguments) -> None:
    from ..checks import doctor_table, examine

    report = examine(arguments.provider)
    _show(doctor_table(report), report)
    sys.exit(0 if report["works"] else ProviderError.exit_code)


def _show(table: str, report: Mapping[str, Any]) -> None:
    click.echo(table, err=True)
    click.echo(json.dumps(report, indent=2))


def _self_test(arguments: Arguments) -> None:
    """Test each file; of several the JSON is a list. Raises what the first failure was, at the end."""
    from ..checks import self_test_table

    reports: list[Mapping[str, Any]] = []
    failed: list[SelfTestError] = []
    paths = _models(arguments)
    for path in paths:
        try:
            with _opened(path, arguments) as segmenter:
                _note(check(MODEL_RULES, Loaded(arguments, segmenter.session), ModelError))
                report: Mapping[str, Any] = segmenter.test_report or {}
        except SelfTestError as error:
            report = error.report
            failed.append(error)
        if len(paths) > 1:
            click.echo(click.format_filename(path), err=True)
            report = {"file": str(path), **report}
        click.echo(self_test_table(report), err=True)
        reports.append(report)
    click.echo(json.dumps(reports if len(paths) > 1 else reports[0], indent=2))
    if failed:
        raise failed[0]


def _tune(arguments: Arguments) -> None:
    from .tools import TuneOptions, find_tool, tuned_name

    [model] = arguments.images or _models(arguments)
    options = TuneOptions(
        model=model, target=tuned_name(model, arguments.out), overwrite=arguments.overwrite, threads=arguments.threads,
        require_signature=arguments.require_signature,
    )  # fmt: skip
    _show(*find_tool("tune")(options, progress_bars()))


@dataclass
class _Outcome:
    """What became of a run."""

    done: list[Task] = field(default_factory=list)
    skipped: list[Task] = field(default_factory=list)
    failed: list[tuple[Path, SegError]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _run(segmenter: Segmenter, tasks: list[Task], options: BatchOptions) -> _Outcome:
    from ..batch import run_tasks

    outcome = _Outcome()
    ticks = 1000  # of the bar per image
    with click.progressbar(length=ticks * max(1, len(tasks)), label="segmenting", file=sys.stderr) as bar:
        shown: dict[Path, int] = {}

        def advance(task: Task, share: float) -> None:
            now = int(share * ticks)
            bar.update(now - shown.get(task.stem, 0))
            shown[task.stem] = now

        for task, result in run_tasks(segmenter, tasks, options, advance):
            advance(task, 1.0)
            if isinstance(result, SegError):
                outcome.failed.append((task.source.path, result))
            else:
                (outcome.skipped if result == "skipped" else outcome.done).append(task)
                if result not in ("done", "skipped"):
                    outcome.notes.append(result)
    return outcome


def _report(outcome: _Outcome, out: Path) -> None:
    _note(outcome.notes)
    for _, error in outcome.failed:
        click.echo(f"error: {error}", err=True)
    parts = [f"{len(outcome.done)} segmented"]
    if outcome.skipped:
        parts.append(f"{len(outcome.skipped)} finished before")
    if outcome.failed:
        parts.append(f"{len(outcome.failed)} failed")
    where = f"; results in {click.format_filename(out)}" if outcome.done or outcome.skipped else ""
    click.echo(", ".join(parts) + where)
