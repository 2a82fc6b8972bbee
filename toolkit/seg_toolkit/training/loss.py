"""Losses, plain functions of logits, labels and weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The energy of Ronneberger et al. 2015, equation 1: pixel-wise softmax and weighted cross-entropy.

    Divided by the sum of the weights, so that neither the window's size nor the scale of the weights changes the step
    that an optimizer takes; pixels of weight 0 do not count.

    Args:
        logits: `(N, K, *spatial)` float.
        labels: `(N, *spatial)` int64 class indices.
        weights: `(N, *spatial)` float, not negative.

    Returns:
        Scalar, nats per unit of weight.
    """
    energy = F.cross_entropy(logits.float(), labels, reduction="none")  # (N, H, W)
    return (weights * energy).sum() / weights.sum().clamp_min(1e-8)


def dice_loss(logits: Tensor, labels: Tensor, smooth: float = 1.0, known: Tensor | None = None) -> Tensor:
    """1 - soft Dice, averaged over the classes; the V-Net loss of Milletari et al. 2016 (arXiv 1606.04797), squared terms left out.

    Args:
        logits: `(N, K, *spatial)` float.
        labels: `(N, *spatial)` int64 class indices.
        smooth: px added to both sides, so that an absent class that is not predicted costs nothing.
        known: `(N, *spatial)` bool, pixels that count; None for all.

    Returns:
        Scalar, 0 to 1.
    """
    probabilities = logits.float().softmax(dim=1)
    truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(probabilities.dtype)  # (N, K, H, W)
    if known is not None:
        probabilities, truth = (part * known[:, None] for part in (probabilities, truth))
    axes = (0, *range(2, logits.ndim))
    overlap = (probabilities * truth).sum(axes)
    total = probabilities.sum(axes) + truth.sum(axes)
    return 1 - torch.mean((2 * overlap + smooth) / (total + smooth))


def deeply_supervised(losses: Sequence[Tensor]) -> Tensor:
    """Mean of the losses of several levels, the finest first, each of half the weight of the one before it.

    The weights are those of nnU-Net (Isensee et al. 2021, Nature Methods 18, 203-211). One loss is itself.
    """
    joined = torch.stack(tuple(losses))
    weights = 0.5 ** torch.arange(len(losses), device=joined.device, dtype=joined.dtype)
    return (weights * joined).sum() / weights.sum()
