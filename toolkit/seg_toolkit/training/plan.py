"""A training run, ready to start: all that is decided before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract, Geometry, Input
from seg_runtime.support import SegError, check_writable
from seg_runtime.support.capabilities import check

from ..checkpoints import Checkpoint, digest_of, load, read_state, resume_path
from ..data import Case, Report, parse_augmentation
from ..data.readers import PAIRS, read_data_set
from ..evaluation import parse_measures
from ..networks import NETWORKS, Network, described, pick_device
from ..options import RULES, Request, Settings, TrainOptions
from ..planning import check_axes, choose_pixels, describe, measure_data
from .objectives import OBJECTIVES, Choices, DataSummary, Objective
from .windows import WindowStream

_STEPS = 3000
Bar = Callable[[str, int], Callable[[Iterable[Any]], Iterable[Any]]]
"""Makes a progress bar of a label and a length; the bar passes things on, and shows how many are done."""


@dataclass
class Plan:
    """A training run, ready to start."""

    model: Network
    objective: Objective
    stream: WindowStream
    validation: list[Case]
    device: torch.device
    state: Checkpoint | None

    @property
    def settings(self) -> Settings:
        """The numbers of the run."""
        return self.objective.settings

    @property
    def first_step(self) -> int:
        """Steps that an earlier run has done."""
        return int(self.state.training["step"]) if self.state else 0


def make_plan(data: Path, out: Path, options: TrainOptions, say: Report, bar: Bar) -> Plan:
    """Look at the data, choose, and say why.

    Args:
        data: the training folder.
        out: where the model will be.
        options: of the training.
        say: told every choice.
        bar: see `Bar`.
    """
    kind = NETWORKS.get(options.network, "choose one for --network")
    input_shape, output_shape = _window_shapes(kind, options)
    device = pick_device(options.device)
    state = _state(out, options)
    found = read_data_set(options.reader or PAIRS, data, say)
    objective = OBJECTIVES.get(options.answer or found.truth, "choose one for --answer")
    for note in check(RULES, Request(options=options, network=kind.options, answer=objective.facts(found))):
        say(f"note: {note}")
    metrics = ",".join(measure.text for measure in parse_measures(options.metrics or ""))
    check_writable(out)
    training, validation = found.split(options.val_fraction, options.val_list, options.seed)
    classes = objective.choose_classes(found, options)
    cases = measure_data(found, classes, min(output_shape), bar("looking at the images", len(found.cases)))
    check_axes(cases, len(input_shape))
    for line in describe(cases, classes):
        say(line)
    say(f"split: {len(training)} for training, {len(validation)} for validation")
    names = {case.name for case in training}
    seen = [statistics for statistics in cases if statistics.name in names]
    if found.channel_files:
        options = replace(options, channels=len(found.channel_files))
    chosen = objective.choose(DataSummary(found, classes, cases, seen, min(output_shape)), options, say)
    model = _network(kind, chosen, options)
    contract = Contract(
        Input(chosen.channels, chosen.intensity, choose_pixels(cases), found.channel_files, found.voxels),
        Geometry(input_shape, output_shape, chosen.geometry, model.stride),
        chosen.answer,
    )
    settings = replace(
        _settings(options, len(training), chosen), validation=tuple(case.name for case in validation), metrics=metrics
    )
    aim = objective(contract, classes, settings)
    augmentation = parse_augmentation(settings.augment)
    stream = WindowStream(training, aim, augmentation, settings.seed, settings.balance, chosen.scarce)
    if state:
        _check_same(state, aim, model)
    return Plan(model, aim, stream, validation, device, state)


def _window_shapes(kind: type[Network], options: TrainOptions) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a window, as `--input-size` or else the network says.

    Raises:
        SegError: not a size that the network can take.
    """
    with torch.device("meta"):  # nothing is computed, since only its sizes are needed
        network = kind.from_options(1, 2, options)
    shape = network.window(str(options.input_size)) if options.input_size else network.default_input
    return shape, network.output_shape(shape)


def _network(kind: type[Network], chosen: Choices, options: TrainOptions) -> Network:
    torch.manual_seed(options.seed)
    try:
        network = kind.from_options(chosen.channels, chosen.answer.maps, options)
    except RuntimeError as error:  # torch has no class of its own for want of memory on CPU
        came = f"a network of width {options.width or 'its own'} does not fit into memory"
        raise SegError(came, "a smaller one", "lower --width") from error
    if options.pretrained:
        network.begin_from(read_state(options.pretrained))
    if chosen.geometry == "tile":
        network.check_tiling()
    return network


def _settings(options: TrainOptions, training: int, chosen: Choices) -> Settings:
    steps = options.steps or _STEPS
    if options.epochs:
        steps = max(1, round(options.epochs * training / options.batch_size))
    lr = options.lr if options.lr is not None else (1e-3 if options.optimizer == "adamw" else 1e-4)
    return Settings(
        steps=steps, batch_size=options.batch_size, optimizer=options.optimizer, lr=lr, dice_weight=options.dice_weight,
        eval_every=max(1, min(500, steps // 10)), seed=options.seed, class_weights=chosen.class_weights,
        border_weight=chosen.border_weight, augment=chosen.augment, balance=chosen.balance, recipe=options.recipe, reader=options.reader or PAIRS,
        pretrained=digest_of(options.pretrained) if options.pretrained else "",
        empty_dice=options.empty_dice or "skip", loss=chosen.loss,
    )  # fmt: skip


def _state(out: Path, options: TrainOptions) -> Checkpoint | None:
    path = resume_path(out)
    if options.resume:
        state = load(path)
        if not state.training:
            wanted = "the state that seg-train leaves"
            raise SegError(f"{path} holds no training state", wanted, "train without --resume")
        return state
    for there in (out, path):
        if there.is_file() and not options.overwrite:
            raise SegError(f"{there} exists", "a new name", "go on with --resume, or train anew with --overwrite")
    return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_same(state: Checkpoint, objective: Objective, model: Network) -> None:
    then, now = state.training["settings"], asdict(objective.settings)
    odd = [f"{k} {then.get(k)} then, {v} now" for k, v in now.items() if _plain(then.get(k)) != _plain(v)]
    built = state.network
    odd += [f"{k} {built.get(k)} then, {v} now" for k, v in described(model).items() if built.get(k) != v]
    if state.contract.to_json() != objective.contract.to_json():
        odd.append("the data or the options that shape the contract differ")
    if odd:
        came = f"--resume with other settings ({'; '.join(odd)})"
        raise SegError(came, "the same options and data", "repeat them, or train anew")
