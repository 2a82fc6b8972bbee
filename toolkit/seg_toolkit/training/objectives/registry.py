"""Objectives by the kind of answer that they train."""

from __future__ import annotations

from collections.abc import Sequence

from seg_runtime.model import Contract
from seg_runtime.support import Registry

from ...data import ClassValues
from ...options import Settings
from .labels import LabelObjective
from .objective import Objective
from .values import ValueObjective

OBJECTIVES: Registry[type[Objective]] = Registry(
    "seg_edge.objectives", "answer to train", {o.Spec.kind: o for o in (LabelObjective, ValueObjective)}
)


def objective_of(
    contract: Contract, classes: Sequence[ClassValues] = (), settings: Settings | None = None
) -> Objective:
    """The objective of a contract's answer.

    Args:
        contract: of the model.
        classes: with their mask values; empty where the truth is not a mask.
        settings: of the training; None for defaults.

    Raises:
        SegError: no installed package trains such an answer.
    """
    return OBJECTIVES.get(contract.answer.kind)(contract, classes, settings)
