"""seg-train --evaluate: the scores of a checkpoint on a data set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
from seg_runtime.pipeline.tta import averaged
from seg_runtime.support import SegError, write_atomic
from seg_runtime.support.capabilities import check

from ..checkpoints import Checkpoint, load
from ..data import ClassValues, Report, parse_classes
from ..data.readers import read_data_set
from ..evaluation import check_installed, parse_measures, write_attention
from ..networks import pick_device, torch_infer
from ..options import RULES, EvaluateOptions, Request, Settings
from ..training import OBJECTIVES, Bar, score


def evaluate(data: Path, options: EvaluateOptions, say: Report, bar: Bar) -> None:
    """Print the scores of a checkpoint as a table and as JSON, and write what the options name.

    Args:
        data: the data set.
        options: of the evaluation; what they leave open is as the model was trained.
        say: told what the reader leaves out.
        bar: makes a progress bar.
    """
    if options.json_path and options.json_path.resolve() == options.model.resolve():
        raise SegError(f"--json {options.json_path} is the model", "a file of its own", "choose another name")
    checkpoint = load(options.model)
    contract = checkpoint.contract
    kind = OBJECTIVES.get(contract.answer.kind)
    for note in check(RULES, Request(options=options, answer=kind.facts())):
        say(f"note: {note}")
    settings = Settings.stored(contract.provenance.get("settings", {}))
    settings = replace(settings, empty_dice=options.empty_dice or settings.empty_dice)
    metrics = settings.metrics if options.metrics is None else options.metrics
    measures = parse_measures(metrics) if "metrics" in kind.options else ()
    check_installed(measures)
    objective = kind(contract, _classes(checkpoint, options.classes), settings)
    device = pick_device(options.device)
    network = checkpoint.build().to(device)
    infer = torch_infer(network, device)
    if options.tta:
        infer = averaged(infer, contract)
    found = read_data_set(options.reader or checkpoint.reader, data, say)
    objective.check_data(found)
    if options.val_list:
        found = found.listed(options.val_list)
    count = len(found.cases)
    result, _ = score(objective, bar("evaluating", count)(found.cases), infer, measures)
    if options.attention:
        cases = bar("drawing attention", count)(found.cases)
        written = write_attention(options.attention, network, cases, objective.classes, contract, device)
        say(f"wrote {written} heat maps to {options.attention}")
    click.echo(objective.table(result))
    text = json.dumps({"model": str(options.model), "data": str(data), "tta": options.tta, **result}, indent=2)
    click.echo(text)
    if options.json_path:
        write_atomic(options.json_path, lambda file: file.write((text + "\n").encode()))


def _classes(checkpoint: Checkpoint, option: str | None) -> tuple[ClassValues, ...]:
    """The model's classes, with the mask values of `--classes` where that is given.

    Raises:
        SegError: another number of classes.
    """
    if not option or not checkpoint.classes:
        return checkpoint.classes
    given, classes = parse_classes(option), checkpoint.classes
    if len(given) != len(classes):
        raise SegError(f"--classes lists {len(given)}", f"the model's {len(classes)}", "list the same classes")
    return tuple(replace(known, values=entry.values) for known, entry in zip(classes, given, strict=True))
