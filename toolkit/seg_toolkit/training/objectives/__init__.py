"""Objectives: what a training aims at, one for each kind of answer. Nothing else in the toolkit asks for the kind."""

from .objective import Choices as Choices
from .objective import DataSummary as DataSummary
from .objective import Objective as Objective
from .objective import ScoredCase as ScoredCase
from .registry import OBJECTIVES as OBJECTIVES
from .registry import objective_of as objective_of
from .scoring import score as score
