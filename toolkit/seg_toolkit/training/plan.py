"""Plan of a training run: everything that is decided before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract, Geometry, Input
from seg_runtime.support import OptionsError, SegError, check, check_writable, named

from ..checkpoints import Checkpoint, Split, digest_of, read_state
from ..data import Augmentation, Case, DataSet, Report
from ..data.readers import read_data_set
from ..inspection import Copies, find_oddities, find_sources, said
from ..networks import NETWORKS, Network, pick_device
from ..options import RULES, Settings, TrainOptions
from ..planning import DataStatistics
from .certainty import after_training, before_training
from .objectives import OBJECTIVES, Choices, Objective
from .resume import check_settings, check_target, interrupted_run
from .windows import WindowStream

_STEPS = 3000
Bar = Callable[[str, int], Callable[[Iterable[Any]], Iterable[Any]]]
"""Makes a progress bar from a label and a length; the bar wraps an iterable."""


@dataclass(frozen=True)
class RunFiles:
    """The files of a training run. For `model.pt`, they are `model.csv` and so on; other suffixes are kept in the names.

    Attributes:
        model: the best checkpoint.
    """

    model: Path

    def _beside(self, ending: str) -> Path:
        name = self.model.stem if self.model.suffix in (".pt", ".pth") else self.model.name
        return self.model.with_name(name + ending)

    @property
    def state(self) -> Path:
        """The state for `--resume`."""
        return self._beside(".resume.pt")

    @property
    def config(self) -> Path:
        """The options, in the form of `--config`."""
        return self._beside(".options.toml")

    @property
    def split(self) -> Path:
        """Names and digests of the images for training and for validation."""
        return self._beside(".split.json")

    @property
    def log(self) -> Path:
        """Loss and score of each evaluation."""
        return self._beside(".csv")

    @property
    def curve(self) -> Path:
        """Plot of the log."""
        return self._beside(".curve.png")

    @property
    def preview(self) -> Path:
        """Validation images with ground truth and prediction."""
        return self._beside(".preview.png")


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
        state: state of an interrupted run; None for a new run.
    """

    model: Network
    objective: Objective
    stream: WindowStream
    validation: list[Case]
    split: Split
    device: torch.device
    files: RunFiles
    state: Checkpoint | None

    @property
    def settings(self) -> Settings:
        """Settings of the run."""
        return self.objective.settings

    def warnings(self, result: dict[str, Any]) -> list[str]:
        """Return what the user should know about the scores of the finished training."""
        objective = self.objective
        few = after_training(self.split, objective.title, objective.best(result), result)
        return [*objective.warnings(result), *([few] if few else [])]

    @property
    def first_step(self) -> int:
        """Number of steps that an interrupted run has done."""
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
    network = NETWORKS.get(options.network, "choose one of them for --network", OptionsError)
    sketch = _sketch(network, options)
    input_shape, output_shape = _window_shapes(sketch, options)
    device, files = pick_device(options.device), RunFiles(out)
    if options.pretrained:
        sketch.begin_from(read_state(options.pretrained))
    state = interrupted_run(files.model, files.state) if options.resume else None
    if state:
        of_data = ("in_channels", "classes")
        described = {name: value for name, value in sketch.described.items() if name not in of_data}
        check_settings(out, state, {**_given_settings(options), **described})
    elif not options.overwrite:
        check_target(files.model, files.state)
    found = read_data_set(options.reader or "", data, say, options.ignore_value or "")
    kind = OBJECTIVES.get(options.answer or found.truth, "choose one of them for --answer", OptionsError)
    for note in check(RULES, kind.request(options, found, network.options)):
        say(f"note: {note}")
    kind.check_options(options, min(output_shape))
    options = replace(options, channels=_channels(found, options))
    check_writable(out)
    found, classes = kind.choose_classes(found, options, say)
    progress = bar("reading the images", len(found.cases))
    statistics = DataStatistics.of(found, classes, min(output_shape), progress)
    statistics.check_axes(len(input_shape))
    for line in statistics.described():
        say(line)
    training, validation = _split(statistics, options, data, say)
    split = Split(statistics.part(training).digests, statistics.part(validation).digests)
    say(f"split: {len(training)} for training, {len(validation)} for validation; names in {files.split.name}")
    if few := before_training(split):
        say(f"warning: {few}")
    chosen = kind.choose(statistics, statistics.part(training), options, say)
    model = _network(network, chosen, options)
    contract = Contract(
        Input(chosen.channels, chosen.intensity, statistics.pixels, found.channel_files, found.voxels),
        Geometry(input_shape, output_shape, chosen.geometry, model.stride),
        chosen.answer,
        policy=statistics.part(training).policy(len(input_shape)),
    )
    names = tuple(case.name for case in validation)
    settings = replace(_settings(options, len(training), chosen), validation=names, reader=found.reader)
    objective = kind(contract, classes, settings)
    augmentation = Augmentation.parse(settings.augment)
    stream = WindowStream(training, objective, augmentation, settings.seed, settings.balance, chosen.scarce)
    if state:
        check_settings(out, state, {**asdict(settings), **model.described}, contract)
    return Plan(model, objective, stream, validation, split, device, files, state)


def _split(statistics: DataStatistics, options: TrainOptions, root: Path, say: Report) -> tuple[list[Case], list[Case]]:
    """Split the cases, and report what is suspicious in them.

    Raises:
        SegError: if nothing can be learned from them, a part is empty, or `--group` does not fit their names.
    """
    names = [case.name for case in statistics.cases]
    copies = Copies.of(statistics.cases)
    findings = find_oddities(statistics, copies)
    for line in said([f for f in findings if not (options.group and f.kind == "sources")], root):
        say(line)
    groups = find_sources(names, copies, options.group, say)
    training, validation = statistics.data.split(options.val_fraction, options.val_list, options.seed, groups)
    for part in groups.cut([case.name for case in training], [case.name for case in validation]):
        say(f"note: --val-list parts images that belong together, so the score is too good: {named(part)}")
    return training, validation


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


def _sketch(kind: type[Network], options: TrainOptions) -> Network:
    """Build the network without memory for its weights, to check options before the images are read."""
    with torch.device("meta"):
        return _build(kind, 1, 2, options)


def _window_shapes(network: Network, options: TrainOptions) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a window, from `--input-size` or the network.

    Raises:
        OptionsError: if the network cannot take this size.
    """
    shape = network.window(str(options.input_size)) if options.input_size else network.default_input
    return shape, network.output_shape(shape)


def _network(kind: type[Network], chosen: Choices, options: TrainOptions) -> Network:
    torch.manual_seed(options.seed)
    try:
        network = _build(kind, chosen.channels, chosen.answer.maps, options)
    except RuntimeError as error:  # PyTorch has no special class for out of memory on the CPU
        width = f" of width {options.width}" if options.width else ""
        raise SegError(f"a network{width} does not fit into memory", "", "lower --width") from error
    if options.pretrained:
        network.begin_from(read_state(options.pretrained))
    if chosen.geometry == "tile":
        network.check_tiling()
    return network


def _given_settings(options: TrainOptions) -> dict[str, Any]:
    """Settings that the options alone decide; without the number of steps if `--epochs` is given."""
    lr = options.lr if options.lr is not None else (1e-3 if options.optimizer == "adamw" else 1e-4)
    return {
        **({} if options.epochs else _lengths(options.steps or _STEPS)),
        "batch_size": options.batch_size, "optimizer": options.optimizer, "lr": lr, "dice_weight": options.dice_weight,
        "seed": options.seed, "recipe": options.recipe,
        "pretrained": digest_of(options.pretrained) if options.pretrained else "",
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
