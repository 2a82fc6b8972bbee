"""Scoring of checkpoints and of imported weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from seg_runtime.model import Intensity
from seg_runtime.pipeline import Infer, averaged
from seg_runtime.support import DataError, ModelError, OptionsError, SegError, check, counted, named
from torch import Tensor

from ..checkpoints import (
    Checkpoint,
    Shape,
    Split,
    check_layers,
    digest_of,
    fit_weights,
    load,
    read_state,
    save,
    shape_of,
)
from ..data import LABELS, Bar, ClassValues, DataSet, Report, image_digest
from ..data.readers import read_data_set
from ..evaluation import Measure, check_sized, write_attention
from ..networks import pick_device, torch_infer
from ..options import RULES, EvaluateOptions, ImportOptions, Kept, Settings
from ..planning import snap_strays
from .images import worst_first, write_table, write_worst
from .objectives import OBJECTIVES, Judged, Objective
from .plan import Plan, make_plan

_TRIED = 16  # images on which the order of the skip connections is found

Scored = tuple[Objective, dict[str, Any]]
"""The objective of a model and the summary of its scores."""


def evaluate(model: Path, data: Path, options: EvaluateOptions, say: Report, bar: Bar) -> Scored:
    """Score a checkpoint on a data set.

    Args:
        model: path of the checkpoint.
        data: folder of the data set.
        options: options of the evaluation; those that are not given are taken from the training.
        say: called with messages about files that are left out.
        bar: see `Bar`.

    Raises:
        SegError: if options or data do not fit the model.
    """
    checkpoint = load(model)
    contract = checkpoint.contract
    kind = OBJECTIVES.get(contract.answer.kind)
    for note in check(RULES, kind.request(options)):
        say(f"note: {note}")
    settings = Settings.stored(contract.provenance.get("settings", {}))
    settings = replace(settings, empty_dice=options.empty_dice or settings.empty_dice)
    metrics = settings.metrics if options.metrics is None else options.metrics
    measures = Measure.parse(metrics) if "metrics" in kind.options else ()
    for measure in measures:
        measure.check_installed()
    objective = kind(contract, _classes(checkpoint, options.classes), settings)
    device = pick_device(options.device)
    network = checkpoint.build().to(device)
    if options.attention and not network.has_attention:
        advice = "leave out --attention, or train with --network attention"
        raise SegError(f"the network {network.kind} has no attention gates", "", advice)
    infer = torch_infer(network, device)
    if options.tta:
        infer = averaged(infer, contract)
    found = read_data_set(options.reader or checkpoint.reader, data, say, options.stated)
    if options.snap_values and found.truth == LABELS:
        found = snap_strays(found, objective.classes, say)
    objective.check_data(found, say)
    if options.val_list:
        found = found.listed(options.val_list)
    uses = _uses(checkpoint.split, found, bar)
    found, left_out = _unseen(found, uses, options, say)
    if not checkpoint.split:
        say(f"note: {model} does not say which images it was trained on, so some of these may be among them")
    check_sized(measures, ((case.name, case.acquisition().spacing_mm) for case in found.cases))
    count = len(found.cases)
    every = objective.judge(bar("evaluating", count)(found.cases), infer, measures, keep=bool(options.worst_path))
    result = objective.report(every, measures)
    known = {use: [case.name for case in found.cases if uses.get(case.name) == use] for use in Split().counts()}
    result["uses"] = {**known, "left_out": left_out}
    if options.attention:
        cases = bar("drawing attention", count)(found.cases)
        written = write_attention(options.attention, network, cases, objective.classes, contract, device)
        say(f"wrote {counted(written, 'heat map')} to {options.attention}")
    _write_images(options, objective, every, measures, infer, say)
    return objective, result


def _write_images(
    options: EvaluateOptions, objective: Objective, every: Sequence[Judged], measures: Sequence[Measure], infer: Infer,
    say: Report,
) -> None:  # fmt: skip
    """Write the files about single images that options ask for."""
    every = worst_first(every)
    if options.csv_path:
        write_table(options.csv_path, objective, every, measures)
    if options.worst_path:
        written = write_worst(options.worst_path, objective, every, infer)
        say(f"drew {counted(written, 'image')} with the lowest scores in {options.worst_path}")


def _uses(split: Split, data: DataSet, bar: Bar) -> dict[str, str]:
    """What the training used each case for, by its name; cases that it did not use are left out."""
    if not split:
        return {}
    known, progress = split.uses(), bar("looking for images of the training", len(data.cases))
    found = {case.name: known.get(image_digest(case.image()), "") for case in progress(data.cases)}
    return {name: use for name, use in found.items() if use}


def _unseen(data: DataSet, uses: Mapping[str, str], options: EvaluateOptions, say: Report) -> tuple[DataSet, list[str]]:
    """Leave out the cases that the model was trained on, unless options ask for them.

    Returns:
        The other cases, and the names of those that were left out.

    Raises:
        DataError: if there are no others.
    """
    trained, chosen = ([name for name, use in uses.items() if use == wanted] for wanted in ("training", "validation"))
    if chosen:
        better = "so a new image may score a little lower"
        say(f"note: {counted(len(chosen), 'image')} chose the best weights of the training, {better}: {named(chosen)}")
    if not trained:
        return data, []
    if options.include_training or options.val_list:
        say(
            f"note: the model was trained on {counted(len(trained), 'image')} of these, so new ones may score lower: {named(trained)}"
        )
        return data, []
    others = tuple(case for case in data.cases if uses.get(case.name) != "training")
    if not others:
        problem = f"the model was trained on every image of DATA ({len(trained)})"
        raise DataError(problem, "", "add images that it has not seen, or score these with --include-training")
    say(
        f"left out {counted(len(trained), 'image')} that the model was trained on: {named(trained)};"
        " --include-training scores them too"
    )
    return replace(data, cases=others), trained


def _classes(checkpoint: Checkpoint, option: str | None) -> tuple[ClassValues, ...]:
    """Classes of the model, with the mask values of `--classes` if given.

    Raises:
        SegError: if the number of classes differs.
    """
    classes = checkpoint.classes
    if not option or not classes:
        return classes
    given = ClassValues.parse(option)
    if len(given) != len(classes):
        problem = f"--classes lists {len(given)} classes, but the model has {len(classes)}"
        raise SegError(problem, "", "list the classes of the model")
    return tuple(replace(known, values=entry.values) for known, entry in zip(classes, given, strict=True))


def import_weights(weights: Path, data: Path, out: Path, options: ImportOptions, say: Report, bar: Bar) -> Scored:
    """Write a checkpoint from weights of another program and score it on DATA. A low score means that an option is wrong.

    Args:
        weights: file with the state dict of the network.
        data: images with masks.
        out: path of the checkpoint.
        options: options of the import, see `foreign.fit_weights`.
        say: called with a line for each choice.
        bar: see `Bar`.

    Raises:
        SegError: if options do not define how the images were normalised, or do not fit the data.
        ModelError: if the weights do not fit the network of the options.
    """
    state = read_state(weights)
    shape = shape_of(state)
    check_layers(state, shape)
    options = _as_in_file(options, shape, weights)
    say(
        f"network: {counted(shape.channels, 'channel')}, width {shape.width}, depth {shape.depth}, norm {options.norm},"
        f" {shape.classes} classes (read from {weights})"
    )
    plan = make_plan(data, out, options, say, bar)
    objective, settings = plan.objective, plan.settings
    if (channels := objective.contract.input.channels) != shape.channels:  # each is a file
        problem = f"{weights} has {counted(shape.channels, 'channel')}, but the cases in {data} have {channels} files"
        raise ModelError(problem, "a file for each channel", "name the files that the network takes")
    if (maps := objective.contract.answer.maps) != shape.classes:
        problem = f"{weights} has {shape.classes} classes, but the masks in {data} have {maps}"
        raise ModelError(problem, "", "name all classes of the network, the background first: --classes background=0,…")
    if measured := _measured(objective.contract.input.intensity, options.intensity):
        say(
            f"note: {measured}. This was measured on the images in {data}; the results are wrong if the network was trained with"
            " other numbers"
        )
    model, cases = plan.model.to(plan.device).eval(), plan.stream.cases
    skip_first = options.skip_first or _joins_skip_first(plan, state, say, bar)
    fit_weights(model, state, skip_first)
    result, _ = objective.score(bar("scoring", len(cases))(cases), torch_infer(model, plan.device))
    imported = {
        "file": weights.name,
        "sha256": digest_of(weights),
        "skip_first": skip_first,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    made = Checkpoint.finished(
        model, objective.contract, objective.classes, settings.reader, imported=imported, recipe=settings.recipe,
        settings={"empty_dice": settings.empty_dice}, validation=result,
    )  # fmt: skip
    save(made, out)
    return objective, result


def _joins_skip_first(plan: Plan, state: Mapping[str, Tensor], say: Report, bar: Bar) -> bool:
    """Return whether the network joins the skip before the upsampled map: the order that scores better on a few images."""
    model, objective = plan.model, plan.objective
    cases = plan.stream.cases[:: -(-len(plan.stream.cases) // _TRIED)]
    infer, scores = torch_infer(model, plan.device), []
    for skip_first in (False, True):
        fit_weights(model, state, skip_first)
        result, _ = objective.score(bar("finding the order of the skips", len(cases))(cases), infer)
        scores.append(_foreground(result, objective))
    better, other = max(scores), min(scores)
    if better == other:
        say("note: the network joins skip and upsampled map in an order that the scores do not tell; see --skip-first")
        return False
    first = "skip" if scores[1] == better else "upsampled map"
    images = counted(len(cases), "image")
    say(f"the network joins the {first} first: {objective.title} {better:.2f} against {other:.2f} on {images}")
    return first == "skip"


def _foreground(result: Mapping[str, Any], objective: Objective) -> float:
    """Mean score of the classes other than the background, which would hide them; without classes, the mean score."""
    scores = [entry["dice"] for entry in result.get("classes", ())[1:] if entry["dice"] is not None]
    return float(np.mean(scores)) if scores else objective.best(dict(result))


def _as_in_file(options: ImportOptions, shape: Shape, weights: Path) -> ImportOptions:
    """Complete the options of the network with what the shapes of the weights say.

    Raises:
        OptionsError: if an option contradicts the file.
    """
    found: dict[str, Any] = {"width": shape.width, "depth": shape.depth, "norm": shape.norm}
    if shape.norm == "none" and options.norm == "instance":
        found["norm"] = "instance"  # without tensors of its own
    known = {"channels": shape.channels, **found}
    given = {name: value for name in known if (value := getattr(options, name)) is not None}
    if wrong := next((name for name, value in given.items() if value != known[name]), ""):
        problem = f"--{wrong} is {given[wrong]}, but {weights} has {known[wrong]}"
        raise OptionsError(problem, "", f"leave out --{wrong}")
    kept = Kept(channels=shape.channels, why=f"as in {weights.name}")
    return replace(options, **found, channels=None, kept=kept)


def _measured(intensity: Intensity, option: str) -> str:
    """Describe the part of the intensity that was measured on DATA instead of given as numbers; empty for none."""
    if ":" in option or intensity.method == "scale":
        return ""
    figures = {
        "standardize": f"mean {_listed(intensity.mean)} and spread {_listed(intensity.std)}",
        "zscore": f"{intensity.std_floor:.4g} as the least spread of an image, for images that are nearly uniform",
        "window": f"level {intensity.level:g} and width {intensity.width:g}",
    }
    return f"--intensity {intensity.method} uses {figures[intensity.method]}"


def _listed(values: Iterable[float]) -> str:
    return "+".join(f"{v:.4g}" for v in values)
