"""Runs that go on: what a call with `--resume` may change, which images are new, and what is recorded of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from seg_runtime.model import Contract, ObjectSpec
from seg_runtime.support import DataError, OptionsError, SegError, counted, named

from ..checkpoints import Checkpoint, Split, digest_of, load
from ..data import ClassValues, DataSet, Groups, Report, UnknownValueError
from ..options import Kept, Settings, TrainOptions
from ..planning import parse_intensity
from .beginning import Beginning, Sides, input_size_of, like
from .optimization import rate_at

_NOT_LISTED = ("eval_every", "parent", "continued")
"""Settings that follow from others, or that a run keeps."""
_TRAINING, _VALIDATION = "training", "validation"


class Continued(Beginning):
    """A run that goes on from its state, interrupted or finished."""

    state: Checkpoint

    def __init__(self, model: Path, state: Path) -> None:
        """Read the state.

        Args:
            model: path of the model.
            state: path of the state.
        """
        self._model, self.state = model, earlier_run(model, state)
        self._training = self.state.training
        if self._training["rows"] and not model.exists():
            problem = f"{model}, the best model so far of the run in {state.name}, is gone"
            raise SegError(problem, "", "put it back, or start again with --overwrite")
        self._before = Settings.stored(self._training["settings"])

    def adapted(self, options: TrainOptions) -> TrainOptions:
        """Use what the run has for options that are not given."""
        state, before, contract = self.state, self._before, self.state.contract
        options, differing = like(options, state)
        fixed: dict[str, Any] = {"reader": state.reader, "answer": contract.answer.kind, "recipe": before.recipe}
        for name, old in fixed.items():
            given = getattr(options, name)
            if given and not str(old).startswith(given):  # masks=instances may have been added to the reader
                differing.append((f"--{name}", old or "none", given))
        if options.parent and digest_of(options.parent) != before.parent.get("sha256"):
            differing.append(("--from", before.parent.get("file", "none"), options.parent))
        if differing:
            self._refuse(differing, "choose another -o, or start again with --overwrite")
        method, numbers = parse_intensity(options.intensity)
        same = method in ("auto", contract.input.intensity.method) and not numbers
        kept = Kept(
            why="as in the run", channels=contract.input.channels, geometry=contract.geometry.method,
            intensity=contract.input.intensity if same else None, pixels=contract.input.pixels,
            outputs=getattr(contract.answer, "outputs", ()),
            objects=contract.answer if isinstance(contract.answer, ObjectSpec) else None,
        )  # fmt: skip
        lr = before.lr if options.optimizer == before.optimizer else None
        return replace(
            options, **fixed, kept=kept, input_size=options.input_size or input_size_of(contract.geometry),
            steps=options.steps or (None if options.epochs else before.steps), lr=options.lr or lr,
        )  # fmt: skip

    def known(self, data: DataSet, options: TrainOptions) -> DataSet:
        """Use the classes of the run, so that the masks of added images do not change them."""
        return replace(data, classes=self.state.classes)

    def explained(self, error: UnknownValueError) -> DataError:
        """Also say how a new class is learned."""
        new = f"for a new class start a new model from this one: --from {self._model} -o NEW.pt"
        return DataError(error.problem, f"{error.expected}, the classes of the run", f"correct the mask, or {new}")

    def split(
        self, data: DataSet, digests: Mapping[str, str], groups: Groups, options: TrainOptions, say: Report
    ) -> Sides:
        """Keep the side of each image of the run, whatever its name is now, and draw that of added ones.

        Raises:
            DataError: if validation images are gone, none of the training images is left, or `--val-list` moves an image.
        """
        uses, present = self.state.split.uses(), set(digests.values())
        named_before = {  # an image that was changed under its name, not one that was renamed
            name: side for name, side, digest in self._images if digest not in present
        }
        side = {name: uses.get(digest) or named_before.get(name, "") for name, digest in digests.items()}
        if options.fold and options.fold != self._before.fold:
            say("note: --resume keeps the split of the run, so --fold is ignored")
        self._check_gone(digests, side)
        added = [name for name, known in side.items() if not known]
        if options.val_list:
            listed = {case.name for case in data.listed(options.val_list).cases}
            if moved := sorted(name for name in listed if side[name] == _TRAINING):
                problem = f"--val-list names {named(moved)}, on which this run has trained"
                raise DataError(problem, "", "leave it out, or start again with --overwrite")
            side |= {name: _VALIDATION if name in listed else _TRAINING for name in added}
        else:
            _draw(side, groups, options)
        removed = self._missing(_TRAINING, digests)
        if removed:
            say(f"note: {_gone(removed, 'training image')}")
        parts = {which: [c for c in data.cases if side[c.name] == which] for which in (_TRAINING, _VALIDATION)}
        return Sides(parts[_TRAINING], parts[_VALIDATION], len(added), removed)

    @property
    def _images(self) -> Iterator[tuple[str, str, str]]:
        """Name, side and digest of each image of the run."""
        for side, images in ((_TRAINING, self.state.split.training), (_VALIDATION, self.state.split.validation)):
            for name, digest in images.items():
                yield name, side, digest

    def _missing(self, side: str, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the images of a side that are not in the data, neither under their name nor under another one."""
        present, known = set(digests.values()), self.state.split.uses()
        changed = {name for name, digest in digests.items() if digest not in known}
        return tuple(n for n, of, digest in self._images if of == side and digest not in present and n not in changed)

    def _check_gone(self, digests: Mapping[str, str], side: Mapping[str, str]) -> None:
        advice = f"put them back, or start a new model from this one: --from {self._model} -o NEW.pt"
        if _TRAINING not in side.values():
            raise DataError(f"DATA has no image on which the run of {self._model} has trained", "", advice)
        if gone := self._missing(_VALIDATION, digests):
            raise DataError(
                _gone(gone, "validation image"), "the images by which the run chooses its best model", advice
            )

    @property
    def seen(self) -> frozenset[str]:
        """Digests of the images on which the run has trained."""
        return self.state.split.seen

    def recorded(self, split: Split, settings: Settings) -> Split:
        """Return the split of the run if no step follows, else the new one."""
        return self.state.split if self._done(settings) else super().recorded(split, settings)

    def _done(self, settings: Settings) -> bool:
        return settings.steps == int(self._training["step"])

    def settled(self, settings: Settings, sides: Sides, say: Report) -> Settings:
        """Record and report what changes.

        Raises:
            OptionsError: if the run has done more steps than it is to have.
        """
        before, step = self._before, int(self._training["step"])
        settings = replace(settings, parent=before.parent, continued=before.continued, fold=before.fold)
        if settings.steps < step:
            problem = f"--steps is {settings.steps}, but the run of {self._model} has done {step}"
            raise OptionsError(problem, f"more than {step}, since it counts all steps of the run", "increase it")
        if self._done(settings):
            say(f"note: the run is finished; more steps in all, such as --steps {2 * step}, continue it")
            return settings
        then, now = asdict(before), asdict(settings)
        changed = {n: [then[n], now[n]] for n in now if n not in _NOT_LISTED and _plain(then[n]) != _plain(now[n])}
        images = {"added_images": sides.added, "removed_images": len(sides.removed)}
        entry = {"step": step, **changed, **{name: count for name, count in images.items() if count}}
        if len(entry) == 1:
            return settings
        flags = {f.name: flag for flag, f in TrainOptions.options().items()}
        listed = [f"{flags.get(n, n)} {_shown(a)} → {_shown(b)}" for n, (a, b) in changed.items()]
        listed += [f"{counted(sides.added, 'image')} added"] if sides.added else []
        listed += [f"{counted(len(sides.removed), 'image')} removed"] if sides.removed else []
        say(f"continued at step {step}: {', '.join(listed)}")
        if {"steps", "lr", "optimizer"} & changed.keys():
            rates = [rate_at(at, settings) for at in (step, settings.steps)]
            say(f"learning rate: {rates[0]:.1e} now, as in a run of {settings.steps} steps, down to {rates[1]:.1e}")
        return replace(settings, continued=(*before.continued, entry))

    def judged_alike(self, settings: Settings, split: Split, say: Report) -> bool:
        """Return whether the validation images are those of the run, counted in the same way."""
        if self._done(settings):
            return True
        before = self.state.split.validation.values()
        alike = sorted(split.validation.values()) == sorted(before) and settings.empty_dice == self._before.empty_dice
        if not alike:
            say("validation: other images or another rule than before, so the best model so far is scored again")
        return alike

    def check(self, contract: Contract, classes: Sequence[ClassValues]) -> None:
        """Check that nothing changes that is part of the model file.

        Raises:
            SegError: if something does; the message lists the options.
        """
        old = self.state.contract
        if replace(contract, policy=old.policy).to_json() == old.to_json() and _values(classes) == _values(
            self.state.classes
        ):
            return
        parts: dict[str, list[Any]] = {
            "--channels": [c.input.channels for c in (old, contract)],
            "--intensity": [c.input.intensity.method for c in (old, contract)],
            "--geometry": [c.geometry.method for c in (old, contract)],
            "--input-size": [input_size_of(c.geometry) for c in (old, contract)],
            "--separation": [getattr(c.answer, "separation", "") for c in (old, contract)],
            "--outputs" if not classes else "--classes": [_answer(old, self.state.classes), _answer(contract, classes)],
        }
        differing = [(flag, one, other) for flag, (one, other) in parts.items() if one != other]
        if (
            old.input.intensity.method == contract.input.intensity.method
            and old.input.intensity != contract.input.intensity
        ):
            differing.append(
                ("the numbers of --intensity", old.input.intensity.method, contract.input.intensity.method)
            )
        listed = differing or [("the data set", "", "")]
        self._refuse(listed, f"start a new model from this one: --from {self._model} -o NEW.pt")

    def _refuse(self, differing: Sequence[tuple[str, Any, Any]], advice: str) -> None:
        listed = ", ".join(f"{flag} {_shown(old)} → {_shown(new)}" for flag, old, new in differing)
        raise SegError(f"--resume cannot change what the model of {self._model} is ({listed})", "", advice)


def earlier_run(model: Path, state: Path) -> Checkpoint:
    """Read the state of a run.

    Args:
        model: path of the model.
        state: path of its state.

    Raises:
        SegError: if there is none, or the file cannot be read.
    """
    if not state.exists():
        raise SegError(f"there is no run to continue at {model}", "", "leave out --resume to start one")
    found = load(state)
    if not found.training:
        raise SegError(f"{state} contains no training state", "", "train without --resume")
    return found


def check_target(model: Path, state: Path) -> None:
    """Check that no model and no unfinished run would be replaced.

    Raises:
        SegError: if one would; the message says how `--resume` continues it.
    """
    for there in (model, state):
        if there.is_file():
            advice = "choose another -o, or replace it with --overwrite"
            with contextlib.suppress(SegError):  # a damaged or missing state cannot be continued
                training = earlier_run(model, state).training
                done, steps = training["step"], training["settings"]["steps"]
                longer = f" --steps {2 * done}" if done >= steps else ""
                advice = f"continue with --resume{longer}, or start again with --overwrite"
            raise SegError(f"{there} exists already", "", advice)


def _draw(side: dict[str, str], groups: Groups, options: TrainOptions) -> None:
    """Choose the side of added images, whose side is empty: that of images that they belong to, else by the share of
    validation images."""
    for part in groups.parts(side):
        if known := {side[name] for name in part} - {""}:
            of_part = _TRAINING if _TRAINING in known else _VALIDATION
            side |= {name: of_part for name in part if not side[name]}
    left = [name for name, known in side.items() if not known]
    wanted = round(len(side) * options.val_fraction) - sum(known == _VALIDATION for known in side.values())
    chosen = groups.nearest(left, wanted, options.seed)
    side |= {name: _VALIDATION if name in chosen else _TRAINING for name in left}


def _gone(names: Sequence[str], what: str) -> str:
    return f"{counted(len(names), what)} of the run {'is' if len(names) == 1 else 'are'} gone: {named(names)}"


def _values(classes: Sequence[ClassValues]) -> list[tuple[int, ...]]:
    return [tuple(entry.values) for entry in classes]


def _answer(contract: Contract, classes: Sequence[ClassValues]) -> str:
    if classes:
        return ",".join(f"{entry.info.name}={'+'.join(map(str, entry.values))}" for entry in classes)
    return ",".join(output.name for output in getattr(contract.answer, "outputs", ()))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    return "+".join(f"{v:.3g}" for v in value) if isinstance(value, (list, tuple)) else str(value)
