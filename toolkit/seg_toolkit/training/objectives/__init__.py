"""Objectives: what a training aims at, one for each kind of answer. Nothing else in the toolkit asks for the kind."""

from .labels import LabelObjective as LabelObjective
from .objective import Choices as Choices
from .objective import Objective as Objective
from .registry import OBJECTIVES as OBJECTIVES
