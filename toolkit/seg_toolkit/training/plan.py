"""Plan of a training run: everything that is decided before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract, Geometry, Input
from seg_runtime.pipeline import Infer
from seg_runtime.support import OptionsError, SegError, check, check_writable

from ..checkpoints import Checkpoint, Split
from ..data import Augmentation, Bar, Case, ClassValues, DataSet, Groups, Report, UnknownValueError
from ..data.readers import read_data_set
from ..inspection import Copies, find_oddities, find_sources, said
from ..networks import NETWORKS, Network, pick_device
from ..options import RULES, Settings, TrainOptions, beside, config_of
from ..planning import DataStatistics
from .beginning import Beginning, Sides, begin_with
from .certainty import after_training, before_training
from .objectives import OBJECTIVES, Choices, Objective, ScoredCase
from .resume import Continued, check_target
from .windows import WindowStream, training_geometry

_NETWORK = "unet"
_LEAST_ANSWER = 1 / 16  # of the side of a window; the rest is context
_STEPS, _STEPS_FROM = 3000, 1000  # with new weights, and with those of another model
_RATES = {"adamw": 1e-3, "sgd": 1e-4}


@dataclass(frozen=True)
class RunFiles:
    """The files of a training run. For `model.pt`, they are `model.csv` and so on; other suffixes are kept in the names.

    Attributes:
        model: the best checkpoint.
    """

    model: Path

    @property
    def state(self) -> Path:
        """The state for `--resume`."""
        return beside(self.model, ".resume.pt")

    @property
    def config(self) -> Path:
        """The options, in the form of `--config`."""
        return config_of(self.model)

    @property
    def split(self) -> Path:
        """Names and digests of the images for training and for validation."""
        return beside(self.model, ".split.json")

    @property
    def log(self) -> Path:
        """Loss and score of each evaluation."""
        return beside(self.model, ".csv")

    @property
    def curve(self) -> Path:
        """Plot of the log."""
        return beside(self.model, ".curve.png")

    @property
    def preview(self) -> Path:
        """Validation images with ground truth and prediction."""
        return beside(self.model, ".preview.png")


@dataclass
class Plan:
    """A training run, ready to start.

    Attributes:
        model: initialised network.
        objective: objective with the contract, the classes and the settings.
        stream: training windows.
        validation: validation cases.
        split: names and digests of the images for training and for validation.
        device: device for training.
        files: files to write.
        state: state of the run that is continued; None for a new run.
        judged_alike: whether scores are comparable with those of the run that is continued.
    """

    model: Network
    objective: Objective
    stream: WindowStream
    validation: list[Case]
    split: Split
    device: torch.device
    files: RunFiles
    state: Checkpoint | None
    judged_alike: bool

    @property
    def settings(self) -> Settings:
        """Settings of the run."""
        return self.objective.settings

    def validated(self, infer: Infer) -> tuple[Objective, dict[str, Any], list[ScoredCase]]:
        """Score the validation images, see `Objective.validated`. Training windows give the answers of the model's windows,
        and waste less on small images."""
        judge = self.objective.in_windows(self.stream.geometry)
        chosen, result, shown = judge.validated(self.validation, infer)
        return chosen.in_windows(self.objective.contract.geometry), result, shown

    def warnings(self, result: dict[str, Any]) -> list[str]:
        """Return what the user should know about the scores of the finished training."""
        objective = self.objective
        few = after_training(self.split, objective.title, objective.best(result), result, self.settings.fold)
        return [*objective.warnings(result), *([few] if few else [])]

    @property
    def has_new_settings(self) -> bool:
        """Whether the run is new, or continues with other settings or images than before."""
        before = self.state.training["settings"] if self.state else {}
        return not before or len(self.settings.continued) > len(before["continued"])

    @property
    def first_step(self) -> int:
        """Number of steps that the run has done."""
        return int(self.state.training["step"]) if self.state else 0


def make_plan(data: Path, out: Path, options: TrainOptions, say: Report, bar: Bar) -> Plan:
    """Read the data, make all choices and report them.

    Args:
        data: training folder.
        out: path of the model.
        options: options of the training.
        say: called with a line for each choice.
        bar: see `Bar`.
    """
    files = RunFiles(out)
    beginning = _beginning(files, options)
    options = beginning.adapted(options)
    network = NETWORKS.get(options.network or _NETWORK, "choose one of them for --network", OptionsError)
    input_shape, output_shape = _window_shapes(network, options, beginning, say)
    device = pick_device(options.device)
    found = beginning.known(read_data_set(options.reader or "", data, say, options.stated), options)
    kind = OBJECTIVES.get(options.answer or found.truth, "choose one of them for --answer", OptionsError)
    for note in check(RULES, kind.request(options, found, network.options)):
        say(f"note: {note}")
    kind.check_options(options, min(output_shape))
    options = replace(options, channels=_channels(found, options))
    check_writable(out)
    progress = bar("reading the masks", len(found.cases))
    found, classes = kind.choose_classes(found, options, say, progress)
    statistics = _statistics(found, classes, min(output_shape), beginning, bar)
    statistics.check_axes(len(input_shape))
    for line in statistics.described():
        say(line)
    sides = Sides(list(found.cases), [])
    if options.trains:
        sides = beginning.split(found, statistics.digests, _grouped(statistics, options, data, say), options, say)
    training, validation = sides.training, sides.validation
    split = Split(statistics.part(training).digests, statistics.part(validation).digests)
    if options.trains:
        say(f"split: {len(training)} for training, {len(validation)} for validation; names in {files.split.name}")
        if few := before_training(split, options.fold):
            say(f"warning: {few}")
    chosen = kind.choose(statistics, statistics.part(training), options, say)
    model = _network(network, chosen, options)
    contract = Contract(
        Input(chosen.channels, chosen.intensity, statistics.pixels, found.channel_files, found.voxels),
        Geometry(input_shape, output_shape, chosen.geometry, model.stride),
        chosen.answer,
        policy=statistics.part(training).policy(len(input_shape)),
    )
    beginning.check(contract, classes)
    beginning.fill(model, kind, chosen.answer, say)
    settings = replace(_settings(options, len(training), chosen), reader=found.reader)
    settings = beginning.settled(settings, sides, say)
    objective = kind(contract, classes, settings)
    augmentation = Augmentation.parse(settings.augment)
    windows = _training_windows(model, contract.geometry, statistics.part(training), say)
    stream = WindowStream(training, objective, augmentation, settings.seed, settings.balance, chosen.scarce, windows)
    beginning.match(model, stream, say)
    alike, split = beginning.judged_alike(settings, split, say), beginning.recorded(split, settings)
    return Plan(model, objective, stream, validation, split, device, files, beginning.state, alike)


def _grouped(statistics: DataStatistics, options: TrainOptions, root: Path, say: Report) -> Groups:
    """Report what is suspicious in the images, and find those that belong on one side of the split.

    Raises:
        SegError: if nothing can be learned from them, or `--group` does not fit their names.
    """
    copies = Copies.of(statistics.cases)
    findings = find_oddities(statistics, copies)
    for line in said([f for f in findings if not (options.group and f.kind == "sources")], root):
        say(line)
    return find_sources([case.name for case in statistics.cases], copies, options.group, say)


def _beginning(files: RunFiles, options: TrainOptions) -> Beginning:
    """Read what the training starts from, if it is not new weights."""
    if options.resume:
        return Continued(files.model, files.state)
    if not options.overwrite:
        check_target(files.model, files.state)
    return begin_with(options.parent, files.model) if options.parent else Beginning()


def _statistics(
    data: DataSet, classes: Sequence[ClassValues], output_px: int, beginning: Beginning, bar: Bar
) -> DataStatistics:
    progress = bar("reading the images", len(data.cases))
    try:
        return DataStatistics.of(data, classes, output_px, progress)
    except UnknownValueError as error:
        raise beginning.explained(error) from error


def _channels(data: DataSet, options: TrainOptions) -> int | None:
    """Number of image channels, if each channel is a file.

    Raises:
        SegError: if `--channels` or a recipe gives another number.
    """
    count = len(data.channel_files)
    if count and options.channels not in (None, count):
        endings = ", ".join(file.ending for file in data.channel_files)
        problem = f"--channels is {options.channels}, but each case has {count} files: {endings}"
        raise SegError(problem, "one channel per file", f"use --channels {count}, or name other files")
    return count or options.channels


def _build(kind: type[Network], channels: int, maps: int, options: TrainOptions) -> Network:
    """Build a network with new weights. For options that are None, the default of the network is used."""
    given = {name: value for name in kind.options if (value := getattr(options, name)) is not None}
    return kind(**given, in_channels=channels, classes=maps)


def _window_shapes(
    network: type[Network], options: TrainOptions, beginning: Beginning, say: Report
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a window, from `--input-size` or the network; options of the network are checked too.

    Raises:
        OptionsError: if the network cannot take this size.
        SegError: if it has no such options, or cannot take the weights that the training starts from.
    """
    with torch.device("meta"):  # without memory for its weights
        sketch = _build(network, 1, 2, options)
    shape = sketch.window(str(options.input_size)) if options.input_size else sketch.default_input
    answer = sketch.output_shape(shape)
    if min(answer) < _LEAST_ANSWER * min(shape):
        say(f"note: a window of {min(shape)} px answers for {min(answer)} px only; a larger --input-size wastes less")
    beginning.check_network(sketch)
    if options.freeze != "none":
        sketch.encoder()
    return shape, answer


def _training_windows(model: Network, geometry: Geometry, training: DataStatistics, say: Report) -> Geometry:
    windows = training_geometry(model, geometry, [case.shape for case in training.cases])
    if windows != geometry:
        least, most = min(windows.input_shape), min(geometry.input_shape)
        say(f"training windows: {least} px instead of the model's {most} px (images are smaller than its answer)")
    return windows


def _network(kind: type[Network], chosen: Choices, options: TrainOptions) -> Network:
    torch.manual_seed(options.seed)
    try:
        network = _build(kind, chosen.channels, chosen.answer.maps, options)
    except RuntimeError as error:  # PyTorch has no special class for out of memory on the CPU
        width = f" of width {options.width}" if options.width else ""
        raise SegError(f"a network{width} does not fit into memory", "", "lower --width") from error
    if chosen.geometry == "tile":
        network.check_tiling()
    return network


def _given_settings(options: TrainOptions) -> dict[str, Any]:
    """Settings that the options alone decide; without the number of steps if `--epochs` is given."""
    steps = _STEPS_FROM if options.parent else _STEPS
    lr = options.lr if options.lr is not None else _RATES[options.optimizer]
    return {
        **({} if options.epochs else _lengths(options.steps or steps)),
        "batch_size": options.batch_size, "optimizer": options.optimizer, "lr": lr, "dice_weight": options.dice_weight,
        "seed": options.seed, "recipe": options.recipe, "freeze": options.freeze, "fold": options.fold or "",
        "empty_dice": options.empty_dice or "skip",
    }  # fmt: skip


def _lengths(steps: int) -> dict[str, int]:
    return {"steps": steps, "eval_every": max(1, min(500, steps // 10))}


def _settings(options: TrainOptions, training: int, chosen: Choices) -> Settings:
    given = _given_settings(options)
    if options.epochs:
        given |= _lengths(max(1, round(options.epochs * training / options.batch_size)))
    return Settings(
        **given, class_weights=chosen.class_weights, border_weight=chosen.border_weight, augment=chosen.augment,
        balance=chosen.balance, loss=chosen.loss, metrics=chosen.metrics,
    )  # fmt: skip
