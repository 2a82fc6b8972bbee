"""What the score of a few images is worth, for the messages of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seg_runtime.support import counted

from ..checkpoints import Split
from ..data import FEW_IMAGES

_VERY_FEW = 2  # validation images
_FOLDS = 5


def are_few(split: Split) -> bool:
    """Whether the score of a split says little about new images: fewer than 10 images, or at most 2 for validation."""
    return sum(split.counts().values()) < FEW_IMAGES or len(split.validation) <= _VERY_FEW


def before_training(split: Split, fold: str | None) -> str:
    """Warn that the score will come from few images; empty if it will not."""
    if not are_few(split):
        return ""
    total = sum(split.counts().values())
    return (
        f"the score will come from {len(split.validation)} of {counted(total, 'image')}, so it says little about new images;"
        f" {_advice(split, fold)}"
    )


def after_training(split: Split, title: str, score: float, result: Mapping[str, Any], fold: str) -> str:
    """Say how far a score of few images may be from that of many; empty if there are enough."""
    if not are_few(split):
        return ""
    source = f"the validation {title} of {score:.3f} comes from {counted(result['images'], 'image')}"
    if (ends := result["interval_95"]) is None:
        return f"{source}, which cannot show how much {title} differs between images; {_advice(split, fold)}"
    return (
        f"{source}: the 95 % confidence interval of its mean is {ends[0]:.3f} to {ends[1]:.3f}; {_advice(split, fold)}"
    )


def _advice(split: Split, fold: str | None) -> str:
    if fold:
        return f"average it over all parts of the images, --fold 1/{fold.partition('/')[2]} and so on"
    folds = min(_FOLDS, sum(split.counts().values()))
    parts = f"train once for each part of the images with --fold 1/{folds} to --fold {folds}/{folds}"
    return f"to know more, {parts}, or name more images with --val-list"
