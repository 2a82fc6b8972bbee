"""Streams of training windows of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seg_runtime.model import Contract
from seg_toolkit.data import NONE, Augmentation, Case, ClassValues
from seg_toolkit.options import Settings
from seg_toolkit.training.objectives.labels import LabelObjective
from seg_toolkit.training.windows import WindowStream

from .folders import TWO


def label_stream(
    cases: Sequence[Case],
    contract: Contract,
    how: Augmentation = NONE,
    border: float = 0.0,
    seed: int = 0,
    balance: float = 0.5,
    scarce: Mapping[int, Sequence[int]] | None = None,
    classes: Sequence[ClassValues] = TWO,
) -> WindowStream:
    """A stream whose classes all weigh the same."""
    settings = Settings(class_weights=(1.0,) * len(classes), border_weight=border)
    return WindowStream(cases, LabelObjective(contract, classes, settings), how, seed, balance, scarce)
