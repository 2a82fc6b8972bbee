"""Rules for options of `seg-edge train`, `import` and `evaluate`: one table, checked before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass
from typing import Any

from seg_runtime.support import Rule

from .options import DataOptions, ImportOptions, TrainOptions

_OF_REGRESSION = ("a regression", "this is not a regression")
_OF_CLASSES = ("a kind of output with this option", "this kind of output does not use it")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of a call and further facts; None for facts that are not known yet.

    Attributes:
        options: options of the call.
        network: options that the network takes, among those that only some networks take.
        objective: options that the objective takes, among those that only some objectives take.
        geometries: geometries that the kind of output supports.
        fits_data: whether DATA has the kind of ground truth that the objective needs.
        importable: whether weights alone define the meaning of the output maps.
    """

    options: DataOptions
    network: Sequence[str] | None = None
    objective: Sequence[str] | None = None
    geometries: Sequence[str] = ()
    fits_data: bool = True
    importable: bool = True

    def value(self, name: str) -> Any:
        """Value of an option; None if the command does not have it."""
        return getattr(self.options, name, None)

    def changed(self, option: Field[Any]) -> bool:
        """Whether the value of an option differs from its default."""
        return bool(getattr(self.options, option.name, option.default) != option.default)


def _of_network(flag: str, option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag, lambda r: r.network is not None and r.changed(option), lambda r: option.name in (r.network or ()),
        "a network with this option", "this network has no such option", harmless=True,
    )  # fmt: skip


def _of_objective(flag: str, option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag, lambda r: r.objective is not None and r.changed(option), lambda r: option.name in (r.objective or ()),
        *_OF_REGRESSION if option.name in ("loss", "outputs") else _OF_CLASSES, harmless=True,
    )  # fmt: skip


RULES: tuple[Rule[Request], ...] = (
    Rule(
        "import", lambda r: isinstance(r.options, ImportOptions), lambda r: r.value("intensity") != "auto",
        "--intensity",
        "say how the images were normalized, since the weights do not contain it; scale divides by the maximum of the dtype",
    ),
    Rule(
        "--epochs", lambda r: bool(r.value("epochs")), lambda r: not r.value("steps"),
        "a training without --steps", "give one of them",
        problem="--epochs and --steps both set the length of the training",
    ),
    Rule(
        "--freeze", lambda r: r.value("freeze") not in (None, "none"), lambda r: bool(r.value("parent") or r.value("resume")),
        "--from", "name the model whose weights it keeps: --from MODEL.pt",
    ),
    Rule(
        "--fold", lambda r: bool(r.value("fold")), lambda r: not r.value("val_list"),
        "a training without --val-list", "--val-list chooses the validation images", harmless=True,
    ),
    Rule(
        "--val-fraction", lambda r: r.changed(TrainOptions.options()["--val-fraction"]), lambda r: not r.value("fold"),
        "a training without --fold", "--fold chooses the validation images", harmless=True,
    ),
    *(_of_network(flag, f) for flag, f in TrainOptions.options("network").items()),
    *(_of_objective(flag, f) for flag, f in TrainOptions.options("answer").items()),
    Rule(
        "--answer", lambda r: bool(r.value("answer")), lambda r: r.fits_data,
        "a data set with this kind of ground truth", "choose another --reader, or leave out --answer",
    ),
    Rule(
        "import", lambda r: isinstance(r.options, ImportOptions), lambda r: r.importable,
        "labels as the ground truth", "train the network with seg-train, since weights do not contain the scale of regression values",
    ),
    Rule(
        "--geometry", lambda r: r.objective is not None and r.value("geometry") not in (None, "auto"),
        lambda r: r.value("geometry") in r.geometries,
        "an output that can be resized", "leave out --geometry, since values and objects cannot be resized",
    ),
)  # fmt: skip
"""All rules. A rule about facts that are not known yet does not apply, so the table is checked again later."""
