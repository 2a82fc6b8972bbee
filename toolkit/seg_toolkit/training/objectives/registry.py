"""Objectives by kind of output."""

from __future__ import annotations

from seg_runtime.support import Registry, subclass_of

from .labels import LabelObjective
from .objective import Objective
from .objects import ObjectObjective
from .values import ValueObjective

OBJECTIVES: Registry[type[Objective]] = Registry(
    "seg_edge.objectives",
    "answer to train",
    {o.Spec.kind: o for o in (LabelObjective, ValueObjective, ObjectObjective)},
    subclass_of(Objective, lambda objective: str(objective.Spec.kind)),
)
