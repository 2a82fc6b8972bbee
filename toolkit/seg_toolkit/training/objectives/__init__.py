"""What a training is after: labels or values. The one place of the toolkit that tells tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seg_runtime.model.contract import Contract

from ...data.folder import ClassValues
from .aim import Aim as Aim
from .labels import LabelAim
from .values import ValueAim


def aim_of(contract: Contract, classes: Sequence[ClassValues], settings: Mapping[str, Any]) -> Aim:
    """The aim of a contract's task.

    Args:
        contract: of the model.
        classes: with their mask values; empty of a regression.
        settings: of `train.Settings`, those that a checkpoint keeps, too; what is missing is the default.
    """
    if contract.answer.kind == "values":
        return ValueAim(contract, settings.get("loss") or ValueAim.LOSS)
    return LabelAim(contract, classes, settings.get("dice_weight", 1.0), settings.get("empty_dice", "skip"))
