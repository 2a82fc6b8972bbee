"""Which options of `seg-edge train`, `import` and `evaluate` fit together: one table, checked before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass
from typing import Any

from seg_runtime.support import Rule

from .options import DataOptions, ImportOptions, TrainOptions


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of a call, and what is known besides; None for what is not known yet.

    Attributes:
        options: of the call.
        network: options that the network takes, of those that only some take.
        objective: options that the objective takes, of those that only some take.
        geometries: that the answer can have.
        fits_data: whether DATA has the kind of truth that the objective learns from.
        importable: whether weights alone say what the network's maps mean.
    """

    options: DataOptions
    network: Sequence[str] | None = None
    objective: Sequence[str] | None = None
    geometries: Sequence[str] = ()
    fits_data: bool = True
    importable: bool = True

    def value(self, name: str) -> Any:
        """Of an option; None where the command does not have it."""
        return getattr(self.options, name, None)

    def changed(self, option: Field[Any]) -> bool:
        """Whether an option says something else than its default."""
        return bool(getattr(self.options, option.name, option.default) != option.default)


def _of_network(flag: str, option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag, lambda r: r.network is not None and r.changed(option), lambda r: option.name in (r.network or ()),
        "a network that takes it", "this network does not take it", harmless=True,
    )  # fmt: skip


def _of_objective(flag: str, option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag, lambda r: r.objective is not None and r.changed(option), lambda r: option.name in (r.objective or ()),
        "an answer that takes it", "the answer that this network learns does not take it", harmless=True,
    )  # fmt: skip


RULES: tuple[Rule[Request], ...] = (
    Rule(
        "import", lambda r: isinstance(r.options, ImportOptions), lambda r: r.value("intensity") != "auto",
        "--intensity", "say how its images were normalized, which the weights do not tell; scale divides by the maximum of the dtype",
    ),
    Rule(
        "--epochs", lambda r: bool(r.value("epochs")), lambda r: not r.value("steps"),
        "no --steps beside it", "leave one of them out",
    ),
    *(_of_network(flag, f) for flag, f in TrainOptions.options("network").items()),
    *(_of_objective(flag, f) for flag, f in TrainOptions.options("answer").items()),
    Rule(
        "--answer", lambda r: bool(r.value("answer")), lambda r: r.fits_data,
        "a data set that teaches it", "choose another --reader, or leave --answer out",
    ),
    Rule(
        "import", lambda r: isinstance(r.options, ImportOptions), lambda r: r.importable,
        "labels as the truth", "train the network here: weights do not say what their values stand for",
    ),
    Rule(
        "--geometry", lambda r: r.objective is not None and r.value("geometry") not in (None, "auto"),
        lambda r: r.value("geometry") in r.geometries,
        "an answer that can be resized", "leave it out, since each pixel has a value of its own",
    ),
)  # fmt: skip
"""All rules. A rule about what is not known yet does not apply, so the table is checked again when more is known."""
