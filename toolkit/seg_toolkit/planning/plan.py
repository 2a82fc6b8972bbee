"""Everything that is decided before the first training step."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.formats import FORMATS, stem_of
from seg_runtime.model.answer import LabelSpec, ValueSpec
from seg_runtime.model.contract import Contract, Geometry
from seg_runtime.model.input import ChannelFile, Input
from seg_runtime.support.atomic import check_writable
from seg_runtime.support.errors import DataError, SegError

from ..checkpoints.checkpoint import Checkpoint, load
from ..checkpoints.foreign import digest_of, read_state
from ..data.augment import parse_augmentation
from ..data.case import Case
from ..data.folder import ClassValues
from ..data.readers import PAIRS, find_cases
from ..data.windows import WindowStream
from ..evaluation.measures import parse as parse_metrics
from ..networks import Network, build, described, from_options
from ..training.objectives import Aim, aim_of
from ..training.train import Settings, resume_path
from .choices import check_task, choose, choose_classes
from .codes import with_codes
from .look import check_axes, choose_pixels, describe, look, scarce_classes

STEPS = 3000
MAX_LR = 100.0
Say = Callable[[str], None]
Bar = Callable[[str, int], Callable[[Iterable[Any]], Iterable[Any]]]


@dataclass
class Plan:
    """A training run, ready to start."""

    model: Network
    contract: Contract
    settings: Settings
    stream: WindowStream
    validation: list[Case]
    classes: tuple[ClassValues, ...]
    device: torch.device
    state: Checkpoint | None

    @property
    def aim(self) -> Aim:
        """What the training is after."""
        return aim_of(self.contract, self.classes, asdict(self.settings))

    @property
    def first_step(self) -> int:
        """Steps that an earlier run has done."""
        return int(self.state.training["step"]) if self.state else 0


def make_plan(data: Path, out: Path, options: dict[str, Any], say: Say, bar: Bar) -> Plan:
    """Look at the data, choose, and say why.

    Args:
        data: the training folder.
        out: where the model will be.
        options: of `seg-train`.
        say: told every choice.
        bar: makes a progress bar of a label and a length.
    """
    input_shape, output_shape = window_shapes(options)
    device = pick_device(options["device"])
    state = _state(out, options)
    _check_numbers(options)
    cases = find_cases(options["reader"] or PAIRS, data, say)
    if channel_files := cases[0].channel_files:
        options = {**options, "channels": _agreed(options["channels"], channel_files)}
    check_writable(out)
    training, validation = split(cases, options["val_fraction"], options["val_list"], options["seed"])
    check_task(options, values=bool(cases[0].outputs))
    classes = choose_classes(cases, options)
    sights = look(cases, classes, min(output_shape), bar("looking at the images", len(cases)))
    check_axes(sights, len(input_shape))
    for line in describe(sights, classes):
        say(line)
    say(f"split: {len(training)} for training, {len(validation)} for validation")
    known = {c.name for c in training}
    seen = [s for s in sights if s.name in known]

    chosen = choose(cases, sights, seen, min(output_shape), options, say)
    model = _network(chosen.channels, len(chosen.outputs or classes), options)
    if chosen.geometry == "tile":
        model.check_tiling()
    contract = Contract(
        Input(chosen.channels, chosen.intensity, choose_pixels(sights), channel_files, cases[0].voxels),
        Geometry(input_shape, output_shape, chosen.geometry, model.stride),
        ValueSpec(chosen.outputs) if chosen.outputs else LabelSpec(tuple(c.info for c in classes)),
    )
    contract = with_codes(contract, options.get("codes"))
    settings = replace(
        _settings(options, len(training)), class_weights=chosen.weights, border_weight=chosen.border,
        augment=chosen.augment, balance=chosen.balance, validation=tuple(c.name for c in validation), loss=chosen.loss,
    )  # fmt: skip
    stream = WindowStream(
        training, classes, contract, settings.class_weights, settings.border_weight, parse_augmentation(settings.augment),
        settings.seed, settings.balance, scarce_classes(seen),
    )  # fmt: skip
    if state:
        _check_same(state, settings, model, contract)
    return Plan(model, contract, settings, stream, validation, classes, device, state)


def window_shapes(options: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Input and output shape of a window, as `--input-size` or else the network says.

    Raises:
        SegError: not a size that the network can take.
    """
    with torch.device("meta"):  # nothing is computed: only its sizes are asked for
        network = from_options(options["network"], 1, 2, options)
    asked = options["input_size"]
    if not asked:
        return network.default_input, network.output_shape(network.default_input)
    shape = network.window(str(asked))
    return shape, network.output_shape(shape)


def _agreed(asked: int | None, channel_files: Sequence[ChannelFile]) -> int:
    """Image channels where each is a file of its own.

    Raises:
        SegError: `--channels`, or a recipe, wants another number.
    """
    count = len(channel_files)
    if asked not in (None, count):
        came = f"--channels {asked} and a reader of {count} files a case, {', '.join(file.ending for file in channel_files)}"
        raise SegError(came, "as many channels as files", f"give --channels {count}, or name other files")
    return count


def _network(channels: int, classes: int, options: dict[str, Any]) -> Network:
    torch.manual_seed(options["seed"])
    try:
        network = from_options(options["network"], channels, classes, options)
    except RuntimeError as error:  # torch has no class of its own for want of memory on CPU
        came = f"a network of width {options['width'] or 'its own'} does not fit into memory"
        raise SegError(came, "a smaller one", "lower --width") from error
    if options["pretrained"]:
        network.begin_from(read_state(options["pretrained"]))
    return network


def pick_device(asked: str) -> torch.device:
    """The device asked for; `auto` takes CUDA when torch can use it.

    Raises:
        SegError: CUDA asked for and not usable.
    """
    usable = torch.cuda.is_available()
    if asked == "cuda" and not usable:
        raise SegError(
            "CUDA cannot be used by this torch", "an NVIDIA GPU and a CUDA build of torch", "use --device cpu"
        )
    return torch.device("cuda" if usable and asked != "cpu" else "cpu")


def split(cases: Sequence[Case], fraction: float, list_file: Path | None, seed: int) -> tuple[list[Case], list[Case]]:
    """Training and validation cases, by a list of names or by a seeded draw of at least one.

    Raises:
        DataError: too few images, an unreadable list, or a name in it that is not in the data.
    """
    if list_file is not None:
        try:
            names = {_name(line.strip()) for line in list_file.read_text("utf-8-sig").splitlines() if line.strip()}
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"--val-list {list_file} cannot be read ({error})", "a text file, one name a line", "check the path"
            ) from error
        if missing := sorted(names - {c.name for c in cases}):
            raise DataError(f"--val-list names {missing[0]!r}", "names of images in DATA", "correct the list")
    else:
        shuffled = sorted(c.name for c in cases)
        random.Random(seed).shuffle(shuffled)
        names = set(shuffled[: max(1, round(len(cases) * fraction))])
    training = [c for c in cases if c.name not in names]
    validation = [c for c in cases if c.name in names]
    if not training or not validation:
        raise DataError(
            f"{len(training)} images for training and {len(validation)} for validation",
            "at least one of each",
            "add images or change the split",
        )
    return training, validation


def _name(listed: str) -> str:
    """The name of a case, listed as such or as a file."""
    path = Path(listed)
    return stem_of(path) if any(f.named(path) for f in FORMATS.all()) else path.name


def _settings(options: dict[str, Any], training: int) -> Settings:
    if options["steps"] and options["epochs"]:
        raise SegError("--steps and --epochs", "one of them", "leave one out")
    steps = options["steps"] or STEPS
    if options["epochs"]:
        steps = max(1, round(options["epochs"] * training / options["batch_size"]))
    lr = options["lr"] if options["lr"] is not None else (1e-3 if options["optimizer"] == "adamw" else 1e-4)
    if not 0 < lr <= MAX_LR:
        raise SegError(f"--lr {lr}", f"a number above 0 and up to {MAX_LR:g}", "1e-3 suits adamw, 1e-4 sgd")
    return Settings(
        steps=steps, batch_size=options["batch_size"], optimizer=options["optimizer"], lr=lr,
        dice_weight=options["dice_weight"], recipe=options["recipe"] or "", reader=options["reader"] or PAIRS,
        empty_dice=options["empty_dice"] or "skip", eval_every=max(1, min(500, steps // 10)), seed=options["seed"],
        metrics=",".join(wish.text for wish in parse_metrics(options["metrics"] or "")),
        pretrained=digest_of(options["pretrained"]) if options["pretrained"] else "",
    )  # fmt: skip


def _state(out: Path, options: dict[str, Any]) -> Checkpoint | None:
    path = resume_path(out)
    if options["resume"]:
        state = load(path)
        if not state.training:
            raise SegError(
                f"{path} holds no training state", "the state that seg-train leaves", "train without --resume"
            )
        return state
    for there in (out, path):
        if there.is_file() and not options["overwrite"]:
            raise SegError(f"{there} exists", "a new name", "go on with --resume, or train anew with --overwrite")
    return None


def _check_numbers(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise SegError(f"--{name.replace('_', '-')} {value}", "a finite number", "correct it")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check_same(state: Checkpoint, settings: Settings, model: Network, contract: Contract) -> None:
    then, now = {**asdict(Settings()), **state.training["settings"]}, asdict(settings)
    odd = [f"{k} {then.get(k)} then, {v} now" for k, v in now.items() if _plain(then.get(k)) != _plain(v)]
    built = described(build(state.network))  # a state of an older version lacks arguments that came later
    odd += [f"{k} {built.get(k)} then, {v} now" for k, v in described(model).items() if built.get(k) != v]
    if state.contract.to_json() != contract.to_json():
        odd.append("the data or the options that shape the contract differ")
    if odd:
        raise SegError(
            f"--resume with other settings ({'; '.join(odd)})",
            "the same options and data",
            "repeat them, or train anew",
        )
