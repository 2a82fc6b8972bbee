"""Many inputs: find them, run them, write results, resume."""

from .inputs import BatchOptions as BatchOptions
from .inputs import Task as Task
from .inputs import find_tasks as find_tasks
from .run import run_tasks as run_tasks
