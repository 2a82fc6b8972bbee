"""How a training begins: with new weights, with those of another model, or where an earlier run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seg_runtime.model import AnswerSpec, Contract, Geometry
from seg_runtime.support import DataError, ModelError, OptionsError, counted, named

from ..checkpoints import Checkpoint, Split, digest_of, is_checkpoint, load, read_state
from ..data import Case, ClassValues, DataSet, Groups, Report, UnknownValueError
from ..networks import NETWORKS, KeptMap, Network, invert, transfer
from ..options import Kept, Settings, TrainOptions
from .objectives import Objective
from .windows import WindowStream

_WINDOWS = 4  # by which contrast is compared
_CLEARLY = 0.8  # of the loss, for a first layer with another contrast


@dataclass(frozen=True)
class Sides:
    """Training and validation images of a run.

    Attributes:
        training: cases for training.
        validation: cases for validation.
        added: number of images that an earlier part of the run did not have.
        removed: names of its images that are gone.
    """

    training: list[Case]
    validation: list[Case]
    added: int = 0
    removed: tuple[str, ...] = ()


class Beginning:
    """A training with new weights; subclasses start from others.

    Attributes:
        state: state of the run that is continued; None for a new run.
    """

    state: Checkpoint | None = None

    def adapted(self, options: TrainOptions) -> TrainOptions:
        """Complete the options with those that are decided already.

        Raises:
            SegError: if an option contradicts what cannot change.
        """
        return options

    def check_network(self, sketch: Network) -> None:
        """Check that the network can take the weights, before images are read; `sketch` has no memory for its weights."""

    def known(self, data: DataSet, options: TrainOptions) -> DataSet:
        """Return the data set with the classes that are decided already, and check the names in `--val-list`."""
        if options.val_list:
            data.listed(options.val_list)
        return data

    def explained(self, error: UnknownValueError) -> DataError:
        """Return the error about a mask value that belongs to no class."""
        return error

    def split(
        self, data: DataSet, digests: Mapping[str, str], groups: Groups, options: TrainOptions, say: Report
    ) -> Sides:
        """Split the images.

        Args:
            data: data set.
            digests: digest of each image by the name of its case.
            groups: images that belong on one side.
            options: options of the training.
            say: called with what the user should know.
        """
        sides = Sides(*data.split(options.val_fraction, options.val_list, options.seed, groups, options.fold))
        for part in groups.cut(*([case.name for case in side] for side in (sides.training, sides.validation))):
            say(f"note: --val-list parts images that belong together, so the score is too good: {named(part)}")
        return sides

    @property
    def seen(self) -> frozenset[str]:
        """Digests of images that the weights have seen before."""
        return frozenset()

    def recorded(self, split: Split, settings: Settings) -> Split:
        """Return the split that is stored, with the images that the weights have seen before."""
        return split.after(self.seen)

    def fill(self, model: Network, kind: type[Objective], answer: AnswerSpec, say: Report) -> None:
        """Put weights into a network with new ones."""

    def match(self, model: Network, stream: WindowStream, say: Report) -> None:
        """Adapt weights of another model to the training windows."""

    def settled(self, settings: Settings, sides: Sides, say: Report) -> Settings:
        """Add to the settings where the run comes from."""
        return settings

    def judged_alike(self, settings: Settings, split: Split, say: Report) -> bool:
        """Return whether scores are comparable with those of an earlier part of the run."""
        return True

    def check(self, contract: Contract, classes: Sequence[ClassValues]) -> None:
        """Check that the contract is the one that an earlier part of the run had."""


class Weights(Beginning):
    """A training that starts from the weights of another program."""

    def __init__(self, path: Path) -> None:
        """Read the weights."""
        self._path, self._state = path, read_state(path)

    def check_network(self, sketch: Network) -> None:
        """Check that the network takes such weights."""
        sketch.begin_from(self._state)

    def fill(self, model: Network, kind: type[Objective], answer: AnswerSpec, say: Report) -> None:
        """Load the weights that fit."""
        model.begin_from(self._state)
        say(f"weights: from {self._path}")

    def settled(self, settings: Settings, sides: Sides, say: Report) -> Settings:
        """Name the file."""
        parent = {"file": self._path.name, "sha256": digest_of(self._path), "frozen": settings.freeze}
        return replace(settings, parent=parent)


class FromModel(Beginning):
    """A training that starts from a checkpoint of seg-edge."""

    def __init__(self, path: Path) -> None:
        """Read the checkpoint.

        Raises:
            SegError: if the file is no model.
        """
        self._path, self._parent = path, load(path)
        self._maps: list[KeptMap] = []
        if self._parent.training:
            problem = f"{path} is the state of a training, not its best model"
            raise ModelError(problem, "", f"use {path.name.replace('.resume', '')} in the same folder")

    def adapted(self, options: TrainOptions) -> TrainOptions:
        """Use the network, the size of the window, the intensity and the geometry of the model."""
        contract = self._parent.contract
        options, differing = like(options, self._parent)
        if differing:
            given = ", ".join(f"{flag} is {new}, but {self._path} has {old}" for flag, old, new in differing)
            flags = " and ".join(flag for flag, _, _ in differing)
            raise OptionsError(given, "", f"leave out {flags}, since the weights fit one network only")
        kept = Kept(
            why=f"as in {self._path.name}", geometry=contract.geometry.method, pixels=contract.input.pixels,
            intensity=contract.input.intensity if options.intensity == "auto" else None,
        )  # fmt: skip
        size = options.input_size or input_size_of(contract.geometry)
        return replace(options, kept=kept, input_size=size)

    @property
    def seen(self) -> frozenset[str]:
        """Digests of the images on which the model was trained."""
        return self._parent.split.seen

    def split(
        self, data: DataSet, digests: Mapping[str, str], groups: Groups, options: TrainOptions, say: Report
    ) -> Sides:
        """Draw the validation images among those that the model has not seen, if there are any."""
        seen = {name for name, digest in digests.items() if digest in self.seen}
        fresh = [part for part in groups.parts(digests) if not seen.intersection(part)]
        if not (seen and fresh) or options.val_list or options.fold:
            sides = super().split(data, digests, groups, options, say)
            if known := [case.name for case in sides.validation if case.name in seen]:
                say(
                    f"note: the parent was trained on {counted(len(known), 'validation image')}, so the score is too good: {named(known)}"
                )
            return sides
        names = [name for part in fresh for name in part]
        aim = max(1, round(options.val_fraction * len(digests)))
        chosen = groups.nearest(names, aim, options.seed) or set(fresh[0])
        say(
            f"note: {counted(len(seen), 'image')} of the parent's training {'stays' if len(seen) == 1 else 'stay'} on the side of the training"
        )
        training, validation = (
            [case for case in data.cases if (case.name in chosen) is side] for side in (False, True)
        )
        return Sides(training, validation)

    def fill(self, model: Network, kind: type[Objective], answer: AnswerSpec, say: Report) -> None:
        """Put the weights of the model into the network, and say what is kept."""
        old = self._parent.contract
        self._maps = kind.kept_maps(old.answer, answer)
        transfer(model, self._parent.build().state_dict(), self._maps)
        before, now = _names(old.answer), _names(answer)
        unused = [name for place, name in enumerate(before) if place not in {kept.old for kept in self._maps}]
        fresh = [name for place, name in enumerate(now) if place not in {kept.new for kept in self._maps}]
        parts = [f"kept {', '.join(now[kept.new] for kept in self._maps) or 'no output'}"]
        parts += [f"new: {', '.join(fresh)}"] if fresh else []
        parts += [f"not used: {', '.join(unused)}"] if unused else []
        say(f"weights: from {self._path}, {'; '.join(parts)}")
        if unused and fresh:
            say(
                "note: outputs are kept by name; give a class its name in the parent, with --classes, to keep its weights"
            )
        channels = int(model.arguments["in_channels"])
        if channels != old.input.channels:
            how = "summed" if channels == 1 else "repeated" if old.input.channels == 1 else "averaged"
            say(f"first layer: {old.input.channels} → {counted(channels, 'channel')}, its weights are {how}")

    def match(self, model: Network, stream: WindowStream, say: Report) -> None:
        """Invert the first layer if the parent then fits the images much better, as from fluorescence to a stain."""
        if len(self._maps) < min(2, stream.contract.answer.maps):
            return  # the loss of outputs with new weights says nothing
        plain = {name: value.clone() for name, value in model.state_dict().items()}
        losses = [_mean_loss(model, stream)]
        invert(model, within_one=stream.contract.input.intensity.method in ("scale", "window"))
        losses.append(_mean_loss(model, stream))
        if losses[1] < _CLEARLY * losses[0]:
            say(f"first layer: inverted, since light and dark are exchanged (loss {losses[0]:.2f} → {losses[1]:.2f})")
        else:
            model.load_state_dict(plain)

    def settled(self, settings: Settings, sides: Sides, say: Report) -> Settings:
        """Name the parent and its digests."""
        parent = {
            "file": self._path.name, "sha256": digest_of(self._path),
            "weights_sha256": str(self._parent.contract.provenance.get("weights_sha256", "")), "frozen": settings.freeze,
        }  # fmt: skip
        return replace(settings, parent=parent)


def begin_with(path: Path, out: Path) -> Beginning:
    """Read the file of `--from`: a checkpoint of seg-edge, or weights of another program.

    Args:
        path: path of the file.
        out: path of the new model.

    Raises:
        SegError: if the new model would replace the file, or the file is neither.
    """
    if path.resolve() == out.resolve():
        raise OptionsError(f"--from and -o are both {path}", "", "choose another -o, so that the parent stays")
    return FromModel(path) if is_checkpoint(path) else Weights(path)


def like(options: TrainOptions, model: Checkpoint) -> tuple[TrainOptions, list[tuple[str, Any, Any]]]:
    """Complete options of the network with those of a model.

    Returns:
        The options, and for each one that contradicts the model its flag, the value of the model and the value given.
    """
    flags = {f.name: flag for flag, f in TrainOptions.options().items()}
    kind = str(model.network["kind"])
    described = {"network": kind, **{name: model.network.get(name) for name in NETWORKS.get(kind).options}}
    filled: dict[str, Any] = {}
    differing: list[tuple[str, Any, Any]] = []
    for name, old in described.items():
        given = getattr(options, name)
        if given is None:
            filled[name] = old
        elif given != old and name not in NETWORKS.get(kind).only_in_training:
            differing.append((flags[name], old, given))
    if differing and differing[0][0] == "--network":
        differing = differing[:1]  # other networks have other options
    return replace(options, **filled), differing


def input_size_of(geometry: Geometry) -> str:
    """Format the shape of a window as `--input-size`."""
    shape = geometry.input_shape
    return str(shape[0]) if len(set(shape)) == 1 else ",".join(map(str, shape))


def _mean_loss(model: Network, stream: WindowStream) -> float:
    """Mean loss of the first training windows."""
    model.eval()
    with torch.inference_mode():
        batches = stream.batches(0, _WINDOWS, 1)
        return float(np.mean([float(stream.objective.loss(model(image), *truth)) for image, *truth in batches]))


def _names(answer: AnswerSpec) -> list[str]:
    """Names of the output maps."""
    entries = (*getattr(answer, "classes", ()), *getattr(answer, "outputs", ()))
    names = [str(entry.name) for entry in entries]
    return [*names, *(f"map {place}" for place in range(len(names), answer.maps))]
