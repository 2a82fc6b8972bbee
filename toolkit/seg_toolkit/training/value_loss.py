"""Losses of a regression, plain functions of answers, truths and weights, all in the network's own units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from seg_runtime.model.answer import OutputInfo
from torch import Tensor
from torch.nn import functional as F

SIGMA_PX, REACH_PX = 1.5, 5  # of the window of SSIM, as in its paper: 11 px wide
STABLE = (0.01**2, 0.03**2)  # K1 and K2 of the paper, squared, for values in units of their range

Loss = Callable[[Tensor, Tensor, Tensor, "Sequence[OutputInfo]"], Tensor]


def l1(answer: Tensor, truth: Tensor, weights: Tensor, outputs: Sequence[OutputInfo]) -> Tensor:
    """Mean absolute error.

    Args:
        answer: `(N, K, *spatial)` float.
        truth: as many.
        weights: `(N, *spatial)` float, not negative.
        outputs: K, for losses that need the values themselves.

    Returns:
        Scalar, in units of the outputs' spread.
    """
    return _weighted((answer.float() - truth).abs(), weights)


def l2(answer: Tensor, truth: Tensor, weights: Tensor, outputs: Sequence[OutputInfo]) -> Tensor:
    """Mean squared error; arguments are those of `l1`."""
    return _weighted((answer.float() - truth).square(), weights)


def ssim(answer: Tensor, truth: Tensor, weights: Tensor, outputs: Sequence[OutputInfo]) -> Tensor:
    """1 - SSIM of Wang et al. 2004 (IEEE Trans. Image Process. 13, 600-612), equation 13; arguments are those of `l1`.

    Of the values in their own units, with the Gaussian window of the paper, where that lies inside the image.

    Returns:
        Scalar, 0 to 2.
    """
    x, y = (_of_range(part.float(), outputs) for part in (answer, truth))
    mean_x, mean_y = _blurred(x), _blurred(y)
    var_x, var_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    both = _blurred(x * y) - mean_x * mean_y
    first, second = STABLE
    luminance = (2 * mean_x * mean_y + first) / (mean_x**2 + mean_y**2 + first)
    structure = (2 * both + second) / (var_x + var_y + second)
    inside = (slice(None), *(slice(REACH_PX, n - REACH_PX) for n in weights.shape[1:]))
    return _weighted(1 - luminance * structure, weights[inside])


LOSSES: dict[str, Loss] = {"l1": l1, "l2": l2, "ssim": ssim}


def _weighted(errors: Tensor, weights: Tensor) -> Tensor:
    total = (errors.mean(dim=1) * weights).sum()
    return total / weights.sum().clamp_min(1e-8)


def _of_range(values: Tensor, outputs: Sequence[OutputInfo]) -> Tensor:
    """The network's units -> values as shares of the outputs' range."""
    along = (-1, *(1,) * (values.ndim - 2))
    offset, scale = (
        torch.tensor(numbers, dtype=values.dtype, device=values.device).reshape(along)
        for numbers in zip(*((o.offset / (o.high - o.low), o.scale / (o.high - o.low)) for o in outputs), strict=True)
    )
    return values * scale + offset


def _blurred(values: Tensor) -> Tensor:
    """`(N, K, *spatial)` under the window of SSIM, where it lies inside; each axis is `2 * REACH_PX` px shorter."""
    axes = values.ndim - 2
    places = torch.arange(-REACH_PX, REACH_PX + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (places / SIGMA_PX) ** 2)
    kernel = kernel / kernel.sum()
    convolve = {2: F.conv2d, 3: F.conv3d}[axes]

    def along(planes: Tensor, axis: int) -> Tensor:
        return convolve(planes, kernel.reshape(1, 1, *(-1 if i == axis else 1 for i in range(axes))))

    planes = values.reshape(-1, 1, *values.shape[2:])
    blurred = reduce(along, range(axes), planes)
    return blurred.reshape(*values.shape[:2], *blurred.shape[2:])
