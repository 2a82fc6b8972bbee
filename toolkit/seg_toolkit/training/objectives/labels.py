"""The aim of a segmentation: cross-entropy and Dice to lower, Dice to score by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array
from torch import Tensor

from ...data.case import Example
from ...data.folder import ClassValues
from ...evaluation.metrics import confusion, dice, summary
from ..loss import dice_loss, weighted_cross_entropy
from ..pictures import preview
from .aim import Aim, Judged


class LabelAim(Aim):
    """Labels of the right class."""

    key = "dice"
    title = "Dice"

    def __init__(
        self, contract: Contract, classes: Sequence[ClassValues], dice_weight: float = 1.0, empty_dice: str = "skip"
    ) -> None:
        """Set it up.

        Args:
            contract: of the model.
            classes: with their mask values.
            dice_weight: factor of the Dice term beside the cross-entropy.
            empty_dice: of `metrics.EMPTY_DICE`.
        """
        super().__init__(contract, classes)
        self.dice_weight, self.empty_dice = dice_weight, empty_dice

    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Weighted cross-entropy and Dice; truth is `(N, *spatial)` int64."""
        loss = weighted_cross_entropy(answer, truth, weights)
        if self.dice_weight:
            loss = loss + self.dice_weight * dice_loss(answer, truth, known=weights > 0)
        return loss

    def compare(self, name: str, example: Example, answer: Array) -> Judged:
        """Figures are counts `(K, K)`; pixels that nobody annotated are not counted."""
        known = slice(None) if example.known is None else example.known
        counts = confusion(example.labels[known], answer[known], len(self.classes))
        return Judged(name, example.image, example.labels, answer, counts, float(np.nanmean(dice(counts))), example)

    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """See `metrics.summary`."""
        return summary(figures, [c.info.name for c in self.classes], self.empty_dice)

    def table(self, result: dict[str, Any]) -> str:
        """A line for each class."""
        columns = [key for key in result["classes"][0] if key != "name"]
        heads = [{"dice": "Dice", "iou": "IoU"}.get(key, key) for key in columns]
        lines = [f"{'class':<16} {' '.join(f'{head:>8}' for head in heads)}"]
        for entry in result["classes"]:
            numbers = (f"{_number(entry[key]):>{max(8, len(head))}}" for key, head in zip(columns, heads, strict=True))
            lines.append(f"{entry['name']:<16} {' '.join(numbers)}")
        whole = [key for key in result if key not in ("images", "mean_dice", "classes", "pixel_error")]
        told = [f"{key} {_number(result[key])}" for key in ("pixel_error", *whole)]
        lines.append(f"{', '.join(told).replace('_', ' ')}, mean over {result['images']} images")
        return "\n".join(lines)

    def preview(self, cases: Sequence[Judged]) -> Image.Image:
        """See `picture.preview`."""
        return preview([(j.name, j.image, j.truth, j.answer, j.score) for j in cases], self.contract.classes)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
