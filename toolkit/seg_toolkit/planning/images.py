"""What the images decide unless an option does: channels, kind of pixels, intensity, augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from seg_runtime.model import INTENSITIES, Intensity
from seg_runtime.pipeline import dtype_maximum
from seg_runtime.support import DataError

from ..data import parse_augmentation
from .statistics import CaseStatistics

Choice = tuple[str, str]
"""What was chosen, and why."""


def choose_channels(statistics: Sequence[CaseStatistics], option: int | None = None) -> tuple[int, str]:
    """1 where every image is grey, else 3, else what the images have.

    Raises:
        DataError: images that cannot be brought to one number of channels without loss, or to the one asked for.
    """
    found = {s.channels for s in statistics}
    wanted, reason = option or max(found), "as asked"
    if not option:
        reason = "every image is grey" if found == {1} else "colour images" if found <= {1, 3} else f"{wanted} channels"
    for case in statistics:
        if case.channels != wanted and (case.channels, wanted) != (1, 3):
            fix = "convert the images, or choose other --channels"
            raise DataError(f"{case.name} has {case.channels} channels", f"{wanted} ({reason})", fix)
    return wanted, reason


def choose_pixels(statistics: Sequence[CaseStatistics]) -> str:
    """The kind of grey values, `integer` or `float`.

    Raises:
        DataError: both kinds in one data set.
    """
    kinds = {("integer" if np.dtype(s.dtype).kind == "u" else "float"): s.name for s in statistics}
    if len(kinds) > 1:
        raise DataError(
            f"{kinds['integer']} has integers and {kinds['float']} floats", "one kind", "convert them to one dtype"
        )
    return next(iter(kinds))


def choose_intensity(statistics: Sequence[CaseStatistics], channels: int, option: str) -> tuple[Intensity, str]:
    """The intensity rule, and why.

    Args:
        statistics: of the training images.
        channels: of the network.
        option: `auto`, a method's name, `window:LEVEL,WIDTH` in raw grey values, or `standardize:MEAN,SPREAD` in shares of the
            dtype's maximum, with several channels `M1+M2+M3,S1+S2+S3`.
    """
    method, _, numbers = option.partition(":")
    if method not in ("auto", *INTENSITIES) or (numbers and method not in ("window", "standardize")):
        known = f"auto, {', '.join(INTENSITIES)}, window:LEVEL,WIDTH or standardize:MEAN,SPREAD"
        raise DataError(f"--intensity {option}", known, "choose one")
    reason = "as asked"
    if method == "auto":
        method, reason = _auto_intensity(statistics)
    if method == "window":
        return _window(statistics, numbers), reason
    if method == "zscore":
        usual = float(
            np.percentile([min(s.std) for s in statistics], 10)
        )  # not the minimum: that may be an empty field
        floor = max(1e-4, usual / 2)
        return Intensity("zscore", std_floor=floor), reason
    if method == "standardize" and numbers:
        return _standardize(numbers, channels), reason
    if method == "standardize":
        weights = np.array([s.pixels.sum() for s in statistics], np.float64)[:, None]
        table = np.array([s.mean if len(s.mean) == channels else s.mean * channels for s in statistics])
        spread = np.array([s.std if len(s.std) == channels else s.std * channels for s in statistics])
        mean = (table * weights).sum(0) / weights.sum()
        variance = ((spread**2 + (table - mean) ** 2) * weights).sum(0) / weights.sum()
        return Intensity(
            "standardize", mean=tuple(mean.tolist()), std=tuple(np.sqrt(variance).clip(1e-6).tolist())
        ), reason
    return Intensity("scale"), reason


def _auto_intensity(statistics: Sequence[CaseStatistics]) -> Choice:
    if any(s.percentiles[0] < 0 for s in statistics):
        return "window", "signed grey values, as in CT; the window spans 0.5 to 99.5 % of them"
    if any(dtype_maximum(np.dtype(s.dtype)) == 1 and s.percentiles[1] > 1 for s in statistics):
        return "zscore", "floating-point images on a scale of their own"
    # the range and not the standard deviation: that follows how much of an image is covered, too
    ranges = [s.percentiles[1] - s.percentiles[0] for s in statistics]
    low, high = np.percentile(ranges, [10, 90])
    ratio = float(high / max(low, 1e-6))
    if ratio > 2:
        return "zscore", f"the range of grey values differs {ratio:.1f}-fold from image to image"
    return "standardize", "the range of grey values is alike from image to image"


def _window(statistics: Sequence[CaseStatistics], numbers: str) -> Intensity:
    if numbers:
        try:
            level, width = (float(v) for v in numbers.split(","))
        except ValueError as error:
            raise DataError(
                f"--intensity window:{numbers}", "window:LEVEL,WIDTH such as window:40,400", "write it like that"
            ) from error
    else:
        low = float(np.median([s.percentiles[0] for s in statistics]))
        high = float(np.median([s.percentiles[1] for s in statistics]))
        level, width = (low + high) / 2, max(high - low, 1e-6)
    return Intensity("window", level=level, width=width)


def _standardize(numbers: str, channels: int) -> Intensity:
    """Of numbers that another network was fed with."""
    try:
        mean, spread = (tuple(float(v) for v in part.split("+")) for part in numbers.split(","))
    except ValueError:
        mean = spread = ()
    if not len(mean) == len(spread) == channels or not all(0 < s < math.inf for s in spread):
        form = "+".join(["0.5"] * channels)
        raise DataError(
            f"--intensity standardize:{numbers}", f"{channels} means, a comma, {channels} positive spreads",
            f"for example standardize:{form},{form}, in shares of the dtype's maximum",
        )  # fmt: skip
    return Intensity("standardize", mean=mean, std=spread)


def choose_augmentation(intensity: Intensity, option: str) -> Choice:
    """What `parse_augmentation` takes, and why; settings after `auto` are put on what is chosen."""
    name, comma, settings = option.partition(",")
    reason = "as asked"
    if name == "auto":
        name, reason = "slight", "exposures are alike"
        if intensity.method in ("scale", "zscore"):
            name, reason = "wide", "exposures differ from image to image"
    text = f"{name}{comma}{settings}"
    parse_augmentation(text)
    return text, f"{reason}, with settings as asked" if comma and option.startswith("auto") else reason


def choose_value_augmentation(option: str) -> Choice:
    """The same for values: grey values and pixels stay as they are, since the values follow from them."""
    name, *settings = (part.strip() for part in option.split(","))
    if name != "auto":
        parse_augmentation(option)
        return option, "as asked"
    flips = [] if any(s.startswith("flips=") for s in settings) else ["flips=square"]
    text = ",".join(["none", *flips, *settings])
    parse_augmentation(text)
    return text, "grey values and pixels stay as they are, since the values follow from them"
