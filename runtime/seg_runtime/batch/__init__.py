"""Batch runs: find the inputs, run them, write the results, resume an interrupted run."""

from .inputs import BatchOptions as BatchOptions
from .inputs import Task as Task
from .inputs import find_tasks as find_tasks
from .report import write_report as write_report
from .run import run_tasks as run_tasks
from .summary import check_summary as check_summary
from .summary import write_summary as write_summary
