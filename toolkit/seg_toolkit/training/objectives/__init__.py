"""Training objectives, one per kind of output. Nothing else in the toolkit depends on the kind."""

from .labels import LabelObjective as LabelObjective
from .objective import Choices as Choices
from .objective import Judged as Judged
from .objective import Objective as Objective
from .objective import ScoredCase as ScoredCase
from .registry import OBJECTIVES as OBJECTIVES
