"""Training: plans, the training loop, objectives and losses, and scoring of existing models."""

from .loop import Watch as Watch
from .loop import train as train
from .objectives import OBJECTIVES as OBJECTIVES
from .objectives import Objective as Objective
from .plan import Plan as Plan
from .plan import RunFiles as RunFiles
from .plan import make_plan as make_plan
from .scoring import evaluate as evaluate
from .scoring import import_weights as import_weights
