"""Losses as plain functions: cross-entropy and Dice for labels; L1, L2 and SSIM for values in the units of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

SSIM_REACH_PX = 5
"""Radius of the window of SSIM, which is 11 px wide as in its paper."""
_SIGMA_PX = 1.5  # of the window of SSIM
_STABLE = (0.01**2, 0.03**2)  # K1² and K2² of the paper, for values in units of their range

ValueLoss = Callable[[Tensor, Tensor, Tensor, Sequence[float], Sequence[float]], Tensor]


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of a pixel-wise softmax, the energy of Ronneberger et al. 2015, equation 1.

    It is divided by the sum of the weights, so that the optimizer step depends neither on the size of the window nor on
    the scale of the weights. Pixels with weight 0 do not count.

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
    """1 - soft Dice, averaged over the classes: the V-Net loss of Milletari et al. 2016 (arXiv 1606.04797) without squares.

    Args:
        logits: `(N, K, *spatial)` float.
        labels: `(N, *spatial)` int64 class indices.
        smooth: px added to numerator and denominator, so that an absent class that is not predicted has no loss.
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
    """Weighted mean of the losses of several levels, the finest first. Each level has half the weight of the previous one.

    The weights are those of nnU-Net (Isensee et al. 2021, Nature Methods 18, 203-211). A single loss is unchanged.
    """
    joined = torch.stack(tuple(losses))
    weights = 0.5 ** torch.arange(len(losses), device=joined.device, dtype=joined.dtype)
    return (weights * joined).sum() / weights.sum()


def _l1_loss(
    answer: Tensor, truth: Tensor, weights: Tensor, offsets: Sequence[float], scales: Sequence[float]
) -> Tensor:
    """Mean absolute error.

    Args:
        answer: predictions `(N, K, *spatial)` float.
        truth: targets of the same shape.
        weights: `(N, *spatial)` float, not negative.
        offsets: K offsets for losses that need values as fractions of their range, `offset + scale * y`.
        scales: K scales.

    Returns:
        Scalar, in units of the spread of the outputs.
    """
    return _weighted((answer.float() - truth).abs(), weights)


def _l2_loss(
    answer: Tensor, truth: Tensor, weights: Tensor, offsets: Sequence[float], scales: Sequence[float]
) -> Tensor:
    """Mean squared error. Arguments are those of `_l1_loss`."""
    return _weighted((answer.float() - truth).square(), weights)


def _ssim_loss(
    answer: Tensor, truth: Tensor, weights: Tensor, offsets: Sequence[float], scales: Sequence[float]
) -> Tensor:
    """1 - SSIM of Wang et al. 2004 (IEEE Trans. Image Process. 13, 600-612), equation 13. Arguments are those of `_l1_loss`.

    SSIM is computed of values in their own units, with the Gaussian window of the paper, where it is inside the image.

    Returns:
        Scalar, 0 to 2.
    """
    x, y = (_of_range(part.float(), offsets, scales) for part in (answer, truth))
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    first, second = _STABLE
    luminance = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    structure = (2 * both + second) / (var_x + var_y + second)
    inside = (slice(None), *(slice(SSIM_REACH_PX, n - SSIM_REACH_PX) for n in weights.shape[1:]))
    return _weighted(1 - luminance * structure, weights[inside])


VALUE_LOSSES: dict[str, ValueLoss] = {"l1": _l1_loss, "l2": _l2_loss, "ssim": _ssim_loss}


def _weighted(errors: Tensor, weights: Tensor) -> Tensor:
    total = (errors.mean(dim=1) * weights).sum()
    return total / weights.sum().clamp_min(1e-8)


def _of_range(values: Tensor, offsets: Sequence[float], scales: Sequence[float]) -> Tensor:
    """Convert values from the units of the network to fractions of the range of the outputs."""
    along = (-1, *(1,) * (values.ndim - 2))
    offset, scale = (
        torch.tensor(numbers, dtype=values.dtype, device=values.device).reshape(along) for numbers in (offsets, scales)
    )
    return values * scale + offset


def _blurred(values: Tensor) -> Tensor:
    """Blur `(N, K, *spatial)` with the window of SSIM where it is inside; each axis gets `2 * SSIM_REACH_PX` px shorter."""
    axes = values.ndim - 2
    places = torch.arange(-SSIM_REACH_PX, SSIM_REACH_PX + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (places / _SIGMA_PX) ** 2)
    kernel = kernel / kernel.sum()
    convolve = {2: F.conv2d, 3: F.conv3d}[axes]

    def along(planes: Tensor, axis: int) -> Tensor:
        return convolve(planes, kernel.reshape(1, 1, *(-1 if i == axis else 1 for i in range(axes))))

    planes = values.reshape(-1, 1, *values.shape[2:])
    blurred = reduce(along, range(axes), planes)
    return blurred.reshape(*values.shape[:2], *blurred.shape[2:])
