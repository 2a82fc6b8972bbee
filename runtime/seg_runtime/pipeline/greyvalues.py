"""Compare the grey values of an image with those of the training images, since a model is silent about foreign images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..model import Contract, GreyRange, Range
from .fit import is_grey
from .intensity import Array, dtype_maximum

_SAMPLE = 1 << 16  # px that are looked at
_FACTOR = 3.0  # by which exposures may differ from those of the training images
_POSITION = 0.25  # by which the position of the median may differ
_ORDINARY = (0.05, 0.95)  # quantiles, so that a few odd training images do not widen the range


@dataclass(frozen=True)
class GreyValues:
    """Where the grey values of an image lie.

    Attributes:
        high: 99.5 % percentile of the brightest channel, as a fraction of the dtype's maximum.
        middle: position of the median between the 0.5 % and the 99.5 % percentile, 0 to 1, as a mean over the channels:
            near 0 for a dark background, near 1 for a bright one.
    """

    high: float
    middle: float

    @classmethod
    def of(cls, image: Array) -> GreyValues:
        """Measure an image `(*spatial, C)` on evenly spaced pixels."""
        sample = _sampled(image).reshape(-1, image.shape[-1])
        low, median, high = np.percentile(sample, [0.5, 50, 99.5], axis=0)
        position = np.where(high > low, (median - low) / np.maximum(high - low, 1e-12), 0.5)
        return cls(float(high.max() / dtype_maximum(image.dtype)), float(position.mean()))


def training_range(images: Sequence[GreyValues]) -> GreyRange:
    """Return the range of each figure over most of the training images, for the policy of the contract."""

    def span(figures: list[float]) -> Range:
        low, high = np.quantile(figures, _ORDINARY).round(5).tolist()
        return low, high

    return GreyRange(high=span([image.high for image in images]), middle=span([image.middle for image in images]))


def foreign(image: Array, contract: Contract, name: str) -> list[str]:
    """Return a warning for each way in which an image differs from the training images.

    Args:
        image: `(*spatial, C)`, fitted to the contract.
        contract: contract of the model; without a range in its policy, nothing is compared.
        name: name of the image.
    """
    known = contract.policy.grey_values
    found = []
    if contract.input.channels == 3 and not contract.input.channel_files and is_grey(_sampled(image)):
        found.append(f"{name} is grey, while the model was trained on colour images, so the result may be wrong")
    if known is None or contract.input.intensity.method == "window":  # raw grey values, such as HU
        return found
    (dim, bright), (dark, light) = known.high, known.middle
    here = GreyValues.of(image)
    if not dim / _FACTOR <= here.high <= bright * _FACTOR:
        found.append(
            f"{name} has bright values at {here.high:.1%} of the range of {image.dtype}, the training images at "
            f"{_span(dim, bright)}, so the result may be wrong; {_advice(image)}"
        )
    if not dark - _POSITION <= here.middle <= light + _POSITION:
        kind = "bright" if here.middle > light else "dark"
        found.append(
            f"{name} has a {kind} background (median at {here.middle:.0%} of its grey values, in the training images at "
            f"{_span(dark, light)}), so the result may be wrong; use a model for such images, or invert the image"
        )
    return found


def _sampled(image: Array) -> Array:
    """Return evenly spaced pixels of an image; a view, so that nothing is copied."""
    spatial = image.shape[:-1]
    step = max(1, int((math.prod(spatial) / _SAMPLE) ** (1 / len(spatial))))
    return image[(slice(None, None, step),) * len(spatial)]


def _span(low: float, high: float) -> str:
    ends = f"{low:.0%}", f"{high:.0%}"
    return " to ".join(dict.fromkeys(ends))


def _advice(image: Array) -> str:
    bits = int(image.max()).bit_length() if image.dtype == np.uint16 else 16
    if 8 < bits < 16:
        return f"if the camera has {bits} bits, multiply the values by {1 << (16 - bits)}"
    return "scale the values like those of the training images"
