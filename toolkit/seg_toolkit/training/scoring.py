"""Scoring of checkpoints and of imported weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from seg_runtime.model import Intensity
from seg_runtime.pipeline import averaged
from seg_runtime.support import DataError, ModelError, OptionsError, SegError, check, counted

from ..checkpoints import Checkpoint, Shape, Split, digest_of, fit_weights, load, read_state, save, shape_of
from ..data import LABELS, Bar, ClassValues, DataSet, Report, image_digest
from ..data.readers import read_data_set
from ..evaluation import Measure, write_attention
from ..networks import pick_device, torch_infer
from ..options import RULES, EvaluateOptions, ImportOptions, Settings
from ..planning import snap_strays
from .objectives import OBJECTIVES, Objective
from .plan import make_plan

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
    found = read_data_set(options.reader or checkpoint.reader, data, say, options.ignore_value or "")
    if options.snap_values and found.truth == LABELS:
        found = snap_strays(found, objective.classes, say)
    objective.check_data(found, say)
    if options.val_list:
        found = found.listed(options.val_list)
    uses = _uses(checkpoint.split, found, bar)
    found, left_out = _unseen(found, uses, options, say)
    if not checkpoint.split:
        say(f"note: {model} does not say which images it was trained on, so some of these may be among them")
    count = len(found.cases)
    result, _ = objective.score(bar("evaluating", count)(found.cases), infer, measures)
    counts = {use: sum(uses.get(case.name) == use for case in found.cases) for use in Split().to_dict()}
    result["uses"] = {**counts, "left_out": left_out}
    if options.attention:
        cases = bar("drawing attention", count)(found.cases)
        written = write_attention(options.attention, network, cases, objective.classes, contract, device)
        say(f"wrote {counted(written, 'heat map')} to {options.attention}")
    return objective, result


def _uses(split: Split, data: DataSet, bar: Bar) -> dict[str, str]:
    """What the training used each case for, by its name; cases that it did not use are left out."""
    if not split:
        return {}
    known, progress = split.uses(), bar("looking for images of the training", len(data.cases))
    found = {case.name: known.get(image_digest(case.image()), "") for case in progress(data.cases)}
    return {name: use for name, use in found.items() if use}


def _unseen(data: DataSet, uses: Mapping[str, str], options: EvaluateOptions, say: Report) -> tuple[DataSet, int]:
    """Leave out the cases that the model was trained on, unless options ask for them.

    Returns:
        The other cases, and the number of those that were left out.

    Raises:
        DataError: if there are no others.
    """
    trained = {name for name, use in uses.items() if use == "training"}
    if chosen := sum(use == "validation" for use in uses.values()):
        say(
            f"note: {counted(chosen, 'image')} chose the best weights of the training, so a new image may score a little lower"
        )
    if not trained:
        return data, 0
    if options.include_training or options.val_list:
        say(f"note: the model was trained on {len(trained)} of these images, so new images will score lower")
        return data, 0
    others = tuple(case for case in data.cases if case.name not in trained)
    if not others:
        problem = f"the model was trained on every image of DATA ({len(trained)})"
        raise DataError(problem, "", "add images that it has not seen, or score these with --include-training")
    say(f"left out {counted(len(trained), 'image')} that the model was trained on; --include-training scores them too")
    return replace(data, cases=others), len(trained)


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
    options = _as_in_file(options, shape, weights)
    say(
        f"network: {counted(shape.channels, 'channel')}, width {shape.width}, depth {shape.depth}, norm {options.norm},"
        f" {shape.classes} classes (read from {weights})"
    )
    plan = make_plan(data, out, options, say, bar)
    objective, settings = plan.objective, plan.settings
    if (maps := objective.contract.answer.maps) != shape.classes:
        problem = f"{weights} has {shape.classes} classes, but the masks in {data} have {maps}"
        raise ModelError(problem, "", "name all classes of the network, the background first: --classes background=0,…")
    if measured := _measured(objective.contract.input.intensity, options.intensity):
        say(
            f"note: {measured}. This was measured on the images in {data}; the results are wrong if the network was trained with"
            " other numbers"
        )
    fit_weights(plan.model, state, options.skip_first)
    model = plan.model.to(plan.device).eval()
    cases = plan.stream.cases
    result, _ = objective.score(bar("scoring", len(cases))(cases), torch_infer(model, plan.device))
    imported = {
        "file": weights.name,
        "sha256": digest_of(weights),
        "skip_first": options.skip_first,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    made = Checkpoint.finished(
        model, objective.contract, objective.classes, settings.reader, imported=imported, recipe=settings.recipe,
        settings={"empty_dice": settings.empty_dice}, validation=result,
    )  # fmt: skip
    save(made, out)
    return objective, result


def _as_in_file(options: ImportOptions, shape: Shape, weights: Path) -> ImportOptions:
    """Complete the options of the network with what the shapes of the weights say.

    Raises:
        OptionsError: if an option contradicts the file.
    """
    found: dict[str, Any] = {"channels": shape.channels, "width": shape.width, "depth": shape.depth, "norm": shape.norm}
    if shape.norm == "none" and options.norm == "instance":
        found["norm"] = "instance"  # without tensors of its own
    given = {name: value for name in found if (value := getattr(options, name)) is not None}
    if wrong := next((name for name, value in given.items() if value != found[name]), ""):
        problem = f"--{wrong} is {given[wrong]}, but {weights} has {found[wrong]}"
        raise OptionsError(problem, "", f"leave out --{wrong}")
    return replace(options, **found)


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
