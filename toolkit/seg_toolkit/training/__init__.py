"""Training: the plan of a run, the loop, objectives and losses, and the import of foreign weights."""

from .importing import import_weights as import_weights
from .objectives import OBJECTIVES as OBJECTIVES
from .objectives import Objective as Objective
from .objectives import objective_of as objective_of
from .objectives import score as score
from .plan import Bar as Bar
from .plan import Plan as Plan
from .plan import make_plan as make_plan
from .train import News as News
from .train import train as train
