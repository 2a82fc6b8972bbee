"""What the data decides before a training, for labels and for values, each choice with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seg_runtime.model.answer import OutputInfo
from seg_runtime.model.input import Intensity
from seg_runtime.support.errors import SegError

from ..data.case import Case
from ..data.folder import ClassValues, infer_classes, mask_values, parse_classes
from ..training.objectives.values import ValueAim
from .look import (
    Sight,
    choose_augmentation,
    choose_balance,
    choose_channels,
    choose_class_weights,
    choose_geometry,
    choose_intensity,
    choose_value_augmentation,
)
from .outputs import choose_outputs
from .outputs import described as told_outputs

Say = Callable[[str], None]
LABEL_OPTIONS = {
    "classes": None, "codes": None, "class_weights": "auto", "border_weight": None, "balance": None, "empty_dice": None,
    "metrics": None,
}  # fmt: skip
VALUE_OPTIONS = {"outputs": None, "loss": None}
"""Options of one kind of truth only, with what they are when nobody gave them."""


@dataclass(frozen=True)
class Chosen:
    """All of a training that follows from its data, unless an option says it."""

    channels: int
    intensity: Intensity
    geometry: str
    weights: tuple[float, ...]
    border: float
    balance: float
    augment: str
    outputs: tuple[OutputInfo, ...] = ()
    loss: str = ""


def check_task(options: dict[str, Any], values: bool) -> None:
    """Refuse options that the truth of the data set has no use for.

    Raises:
        SegError: names them.
    """
    idle = LABEL_OPTIONS if values else VALUE_OPTIONS
    if odd := [
        f"--{name.replace('_', '-')}" for name, nothing in idle.items() if options.get(name, nothing) != nothing
    ]:
        kind, other = ("values", "labels") if values else ("labels", "values")
        raise SegError(f"{', '.join(odd)} where the truth is {kind}", f"a data set of {other}", "leave it out")


def choose_classes(cases: Sequence[Case], options: dict[str, Any]) -> tuple[ClassValues, ...]:
    """The classes that are named or found; of a regression none."""
    if cases[0].outputs:
        return ()
    return parse_classes(options["classes"]) if options["classes"] else infer_classes(mask_values(cases))


def choose(
    cases: Sequence[Case], sights: Sequence[Sight], seen: Sequence[Sight], output_px: int, options: dict[str, Any], say: Say
) -> Chosen:  # fmt: skip
    """Every choice that the data decides unless an option does, each said with its reason.

    Args:
        cases: all.
        sights: of all.
        seen: of those that are trained on.
        output_px: smallest side of an output window.
        options: of `seg-train`.
        say: told every choice.
    """
    if cases[0].outputs:
        return _choose_for_values(cases[0].outputs, sights, seen, options, say)
    return _choose_for_labels(cases, sights, seen, output_px, options, say)


def _choose_for_labels(
    cases: Sequence[Case], sights: Sequence[Sight], seen: Sequence[Sight], output_px: int, options: dict[str, Any], say: Say
) -> Chosen:  # fmt: skip
    channels, why = choose_channels(sights, options["channels"])
    say(f"channels: {channels} ({why})")
    intensity, why = choose_intensity(seen, channels, options["intensity"])
    say(f"intensity: {intensity.method} ({why})")
    geometry, why = choose_geometry(seen, output_px, options["geometry"])
    say(f"geometry: {geometry} ({why})")
    weights, why = choose_class_weights(seen, options["class_weights"])
    say(f"class weights: {', '.join(f'{w:.2f}' for w in weights)} ({why})")
    border, why = choose_border(options["border_weight"], cases)
    say(f"border weight: {border:g} ({why})")
    balance, why = choose_balance(seen, options["balance"])
    say(f"balanced windows: {balance:.0%} ({why})")
    augment, why = choose_augmentation(intensity, options["augment"])
    say(f"augmentation: {augment} ({why})")
    return Chosen(channels, intensity, geometry, weights, border, balance, augment)


def _choose_for_values(
    names: Sequence[str], sights: Sequence[Sight], seen: Sequence[Sight], options: dict[str, Any], say: Say
) -> Chosen:
    if options["geometry"] not in ("auto", "tile"):
        came = f"--geometry {options['geometry']} for values"
        raise SegError(came, "tile, where each pixel has its own", "leave it out")
    channels, why = choose_channels(sights, options["channels"])
    say(f"channels: {channels} ({why})")
    auto = options["intensity"] == "auto"
    intensity, why = choose_intensity(seen, channels, "standardize" if auto else options["intensity"])
    say(f"intensity: {intensity.method} ({'values follow from grey values, whose scale is kept' if auto else why})")
    outputs = choose_outputs([s.targets for s in seen if s.targets], names, options["outputs"])
    say(f"outputs: {told_outputs(outputs)}")
    augment, why = choose_value_augmentation(options["augment"])
    say(f"augmentation: {augment} ({why})")
    loss = options["loss"] or ValueAim.LOSS
    say(
        f"loss: {loss} ({'as asked' if options['loss'] else 'which follows the median, so that single bright pixels do not rule'})"
    )
    return Chosen(channels, intensity, "tile", (1.0,), 0.0, 0.0, augment, outputs, loss)


def choose_border(asked: float | None, cases: Sequence[Case]) -> tuple[float, str]:
    """Height w0 of the weight map's border term, and why."""
    if asked is not None:
        if asked < 0:
            raise SegError(f"--border-weight {asked}", "0 or more", "correct it")
        return asked, "as asked"
    if all(c.instances_only for c in cases):
        return 10.0, "there are only instances, so the gaps between them are what matters"
    return 0.0, "overlap with the masks is the aim; 10 would teach the gaps between cells, as the paper does"
