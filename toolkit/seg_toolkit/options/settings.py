"""The numbers of one training run, as a checkpoint keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The numbers of one training run: what options say and the data decides. `--resume` compares them.

    Attributes:
        average: decay per step of the running average of the weights that is evaluated and kept; 0 keeps the last weights.
        validation: names of the cases that are never trained on.
        recipe: name of the recipe that it began with.
        reader: of the data set.
        pretrained: digest (SHA-256) of the file of weights that it began with.
        empty_dice: score of a class that neither the image nor the answer holds.
        loss: of values, `l1` and so on; empty for labels.
        metrics: what `--evaluate` measures besides, as `--metrics` names it.
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
    validation: tuple[str, ...] = ()
    recipe: str = ""
    reader: str = "pairs"
    pretrained: str = ""
    empty_dice: str = "skip"
    loss: str = ""
    metrics: str = ""

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Settings:
        """Settings as JSON or a checkpoint holds them; those that are missing have their defaults."""
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name, value in known.items():
            known[name] = tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        return cls(**known)
