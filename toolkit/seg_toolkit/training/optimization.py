"""Optimizer, learning rate schedule and running average of the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..options import Settings


class Optimization:
    """Updates the weights of a model, step by step.

    Attributes:
        average: running average of the weights; its `module` is a network of the same kind as the model.
    """

    def __init__(self, model: nn.Module, settings: Settings, device: torch.device) -> None:
        """Set up the optimizer for a model on a device."""
        self._model, self._settings = model, settings
        self.average = _average(model, settings.average)
        self._optimizer = _optimizer(model, settings)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda step: _cosine(step, settings.steps))
        self._scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")

    def step(self, loss: Tensor) -> None:
        """Do one optimizer step for a loss."""
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._schedule.step()
        self.average.update_parameters(self._model)

    def _parts(self) -> dict[str, Any]:
        return {
            "average": self.average, "optimizer": self._optimizer, "schedule": self._schedule, "scaler": self._scaler,
        }  # fmt: skip

    def state(self) -> dict[str, Any]:
        """State for `restore`."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, saved: Mapping[str, Any], same_optimizer: bool = True) -> None:
        """Restore a saved state. The learning rate is that of the settings, which may differ from those of the state.

        Args:
            saved: value of `state`.
            same_optimizer: whether the state is of the same kind of optimizer; another kind starts without averages.
        """
        schedule = self._schedule
        for name, part in self._parts().items():
            if name != "optimizer" or same_optimizer:
                part.load_state_dict(saved[name])
        for group in self._optimizer.param_groups:
            group["initial_lr"], group["lr"] = self._settings.lr, rate_at(schedule.last_epoch, self._settings)
        schedule.base_lrs = [self._settings.lr] * len(self._optimizer.param_groups)


def rate_at(step: int, settings: Settings) -> float:
    """Learning rate after a number of steps. It depends on no earlier step, so a longer run follows the longer curve."""
    return settings.lr * _cosine(step, settings.steps)


def _optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=settings.momentum)
    return torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def _cosine(step: int, steps: int) -> float:
    """Factor on the learning rate: a short linear warm-up, then half a cosine down to 1 %."""
    rise = min(50, max(1, steps // 20))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _average(model: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """Make a running average of the weights whose decay grows from 0, so that it forgets the first steps."""

    def merge(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        now = min(decay, (1 + float(count)) / (10 + float(count)))
        return old.lerp(new, 1 - now)

    return torch.optim.swa_utils.AveragedModel(model, avg_fn=merge)
