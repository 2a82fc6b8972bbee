"""Short trainings in this process."""

from __future__ import annotations

from pathlib import Path

from seg_toolkit.checkpoints import Checkpoint
from seg_toolkit.cli.train import main
from seg_toolkit.options import TrainOptions
from seg_toolkit.training import Plan, make_plan, train
from seg_toolkit.training.loop import Watch

from .folders import SMALL


def planned(data: Path, out: Path, *options: str) -> Plan:
    """The plan of a small training."""
    parsed = main.make_context("seg-train", [str(data), "-o", str(out), *SMALL, *options]).params
    chosen = TrainOptions(**{field.name: parsed[field.name] for field in TrainOptions.options().values()})
    return make_plan(data, out, chosen, lambda line: None, lambda label, length: lambda things: things)


def run(plan: Plan, workers: int = 0, watch: Watch = lambda step, loss, result: None) -> Checkpoint:
    """The best checkpoint of a plan."""
    return train(plan, workers=workers, watch=watch)
