"""Settings of one training run, as stored in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one training run, from options and data. `--resume` compares and records them.

    Attributes:
        average: decay per step of the running average of the weights, which is evaluated and saved; 0 uses the last weights.
        recipe: name of the recipe.
        reader: reader of the data set.
        parent: name, digests and so on of the model that the training started from; empty for new weights.
        fold: part of a cross-validation that is for validation, such as `1/5`; empty for none.
        freeze: part of the network whose weights stay as they are, `none` or `encoder`.
        continued: what each `--resume` changed: the step, and the old and new value of each setting.
        empty_dice: score of a class in neither ground truth nor prediction, see `metrics.EMPTY_DICE`.
        loss: regression loss, such as `l1`; empty for labels.
        metrics: further measures of `seg-edge evaluate`, in the form of `--metrics`.
    """

    steps: int = 700
    batch_size: int = 2
    optimizer: str = "adamw"
    lr: float = 1e-3
    momentum: float = 0.99
    weight_decay: float = 1e-4
    dice_weight: float = 1.0
    average: float = 0.99
    eval_every: int = 70
    seed: int = 0
    class_weights: tuple[float, ...] = (1.0, 1.0)
    border_weight: float = 0.0
    augment: str = "slight"
    balance: float = 0.5
    recipe: str = ""
    reader: str = "pairs"
    parent: Mapping[str, Any] = field(default_factory=dict)
    fold: str = ""
    freeze: str = "none"
    continued: tuple[Mapping[str, Any], ...] = ()
    empty_dice: str = "skip"
    loss: str = ""
    metrics: str = ""

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Settings:
        """Read settings from JSON or a checkpoint. Missing ones get their defaults."""
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name, value in known.items():
            known[name] = tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        return cls(**known)
