"""A training run, ready to start: all that is decided before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract, Geometry, Input
from seg_runtime.support import SegError, check, check_writable

from ..checkpoints import Checkpoint, digest_of, load, read_state
from ..data import Augmentation, Case, DataSet, Report
from ..data.readers import PAIRS, read_data_set
from ..networks import NETWORKS, Network, pick_device
from ..options import RULES, Settings, TrainOptions
from ..planning import DataStatistics
from .objectives import OBJECTIVES, Choices, Objective
from .windows import WindowStream

_STEPS = 3000
Bar = Callable[[str, int], Callable[[Iterable[Any]], Iterable[Any]]]
"""Makes a progress bar of a label and a length; the bar passes things on, and shows how many are done."""


@dataclass(frozen=True)
class RunFiles:
    """The files of a training run. `model.pt` has `model.csv` and so on beside it; other names keep all of theirs.

    Attributes:
        model: the best checkpoint.
    """

    model: Path

    def _beside(self, ending: str) -> Path:
        name = self.model.stem if self.model.suffix in (".pt", ".pth") else self.model.name
        return self.model.with_name(name + ending)

    @property
    def state(self) -> Path:
        """The state to resume from."""
        return self._beside(".resume.pt")

    @property
    def config(self) -> Path:
        """The options, as `--config` reads them."""
        return self._beside(".toml")

    @property
    def log(self) -> Path:
        """The loss and the score of each evaluation."""
        return self._beside(".csv")

    @property
    def curve(self) -> Path:
        """A picture of the log."""
        return self._beside(".curve.png")

    @property
    def preview(self) -> Path:
        """Validation images with truth and answer."""
        return self._beside(".preview.png")


@dataclass
class Plan:
    """A training run, ready to start.

    Attributes:
        model: initialised network.
        objective: with the contract, the classes and the settings.
        stream: training windows.
        validation: cases that are scored, never trained on.
        device: where to train.
        files: to write.
        state: that an earlier run left; None for a new run.
    """

    model: Network
    objective: Objective
    stream: WindowStream
    validation: list[Case]
    device: torch.device
    files: RunFiles
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
        say: called with every choice, a line each.
        bar: see `Bar`.
    """
    network = NETWORKS.get(options.network, "choose one for --network")
    input_shape, output_shape = _window_shapes(network, options)
    device, files = pick_device(options.device), RunFiles(out)
    state = _state(files, options)
    found = read_data_set(options.reader or PAIRS, data, say)
    kind = OBJECTIVES.get(options.answer or found.truth, "choose one for --answer")
    for note in check(RULES, kind.request(options, found, network.options)):
        say(f"note: {note}")
    kind.check_options(options, min(output_shape))
    options = replace(options, channels=_channels(found, options))
    check_writable(out)
    training, validation = found.split(options.val_fraction, options.val_list, options.seed)
    classes = kind.choose_classes(found, options)
    progress = bar("looking at the images", len(found.cases))
    statistics = DataStatistics.of(found, classes, min(output_shape), progress)
    statistics.check_axes(len(input_shape))
    for line in statistics.described():
        say(line)
    say(f"split: {len(training)} for training, {len(validation)} for validation")
    chosen = kind.choose(statistics, statistics.part(training), options, say)
    model = _network(network, chosen, options)
    contract = Contract(
        Input(chosen.channels, chosen.intensity, statistics.pixels, found.channel_files, found.voxels),
        Geometry(input_shape, output_shape, chosen.geometry, model.stride),
        chosen.answer,
    )
    names = tuple(case.name for case in validation)
    settings = replace(_settings(options, len(training), chosen), validation=names)
    objective = kind(contract, classes, settings)
    augmentation = Augmentation.parse(settings.augment)
    stream = WindowStream(training, objective, augmentation, settings.seed, settings.balance, chosen.scarce)
    if state:
        _check_same(state, objective, model)
    return Plan(model, objective, stream, validation, device, files, state)


def _channels(data: DataSet, options: TrainOptions) -> int | None:
    """Image channels, as many as files where each is a file of its own.

    Raises:
        SegError: `--channels`, or a recipe, gives another number.
    """
    count = len(data.channel_files)
    if count and options.channels not in (None, count):
        endings = ", ".join(file.ending for file in data.channel_files)
        problem = f"--channels {options.channels} and a reader of {count} files a case, {endings}"
        raise SegError(problem, "as many channels as files", f"give --channels {count}, or name other files")
    return count or options.channels


def _build(kind: type[Network], channels: int, maps: int, options: TrainOptions) -> Network:
    """A network with new weights; options that are None leave the network's own default."""
    given = {name: value for name in kind.options if (value := getattr(options, name)) is not None}
    return kind(**given, in_channels=channels, classes=maps)


def _window_shapes(kind: type[Network], options: TrainOptions) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a window, as `--input-size` or else the network says.

    Raises:
        SegError: not a size that the network can take.
    """
    with torch.device("meta"):  # nothing is computed, since only its sizes are needed
        network = _build(kind, 1, 2, options)
    shape = network.window(str(options.input_size)) if options.input_size else network.default_input
    return shape, network.output_shape(shape)


def _network(kind: type[Network], chosen: Choices, options: TrainOptions) -> Network:
    torch.manual_seed(options.seed)
    try:
        network = _build(kind, chosen.channels, chosen.answer.maps, options)
    except RuntimeError as error:  # torch has no class of its own for want of memory on CPU
        problem = f"a network of width {options.width or 'its own'} does not fit into memory"
        raise SegError(problem, "a smaller one", "lower --width") from error
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
        border_weight=chosen.border_weight, augment=chosen.augment, balance=chosen.balance, recipe=options.recipe,
        reader=options.reader or PAIRS, pretrained=digest_of(options.pretrained) if options.pretrained else "",
        empty_dice=options.empty_dice or "skip", loss=chosen.loss, metrics=chosen.metrics,
    )  # fmt: skip


def _state(files: RunFiles, options: TrainOptions) -> Checkpoint | None:
    if options.resume:
        state = load(files.state)
        if not state.training:
            wanted = "the state that seg-train leaves"
            raise SegError(f"{files.state} holds no training state", wanted, "train without --resume")
        return state
    for there in (files.model, files.state):
        if there.is_file() and not options.overwrite:
            raise SegError(f"{there} exists", "a new name", "go on with --resume, or train anew with --overwrite")
    return None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_same(state: Checkpoint, objective: Objective, model: Network) -> None:
    then, now = state.training["settings"], asdict(objective.settings)
    odd = [f"{k} {then.get(k)} then, {v} now" for k, v in now.items() if _plain(then.get(k)) != _plain(v)]
    built = state.network
    odd += [f"{k} {built.get(k)} then, {v} now" for k, v in model.described.items() if built.get(k) != v]
    if state.contract.to_json() != objective.contract.to_json():
        odd.append("the data or the options that shape the contract differ")
    if odd:
        problem = f"--resume with other settings ({'; '.join(odd)})"
        raise SegError(problem, "the same options and data", "repeat them, or train anew")
