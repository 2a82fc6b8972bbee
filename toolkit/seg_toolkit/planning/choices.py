"""Choices from the data for options that are not given: channels, intensity, geometry, weights, balance and so on.

Each choice is returned with its reason, which is shown to the user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from seg_runtime.model import GEOMETRIES, INTENSITIES, Intensity, OutputInfo
from seg_runtime.support import DataError, OptionsError

from ..data import Augmentation
from ..options import Kept
from .statistics import DataStatistics, TargetStatistics

_FORMS = {
    "window": ("window:LEVEL,WIDTH with a width above 0", "window:40,400", 1),
    "standardize": (
        "standardize:MEAN,SPREAD with a spread above 0, and for several channels as many means and spreads joined by +",
        "standardize:0.5,0.25 or standardize:0.5+0.4+0.3,0.2+0.2+0.2", 64,
    ),
}  # fmt: skip
"""Intensities that take numbers: what is expected after the colon, an example, and the most channels."""

Choice = tuple[str, str]
"""The choice and its reason."""
_NOTHING = Kept()


def choose_channels(statistics: DataStatistics, option: int | None = None, kept: Kept = _NOTHING) -> tuple[int, str]:
    """Choose the number of channels: 1 if all images are grey, 3 for colour images, else that of the images.

    Args:
        statistics: statistics of all images.
        option: number of `--channels`; None to choose.
        kept: choices of an earlier training.

    Raises:
        DataError: if the images cannot be converted to one number of channels, or the given number, without loss.
    """
    found = {s.channels for s in statistics.cases}
    wanted, reason = option or kept.channels or max(found), "set by you" if option else kept.why
    if not (option or kept.channels):
        reason = "every image is grey" if found == {1} else "colour images" if found <= {1, 3} else f"{wanted} channels"
    for case in statistics.cases:
        if case.channels != wanted and (case.channels, wanted) != (1, 3):
            known = option or kept.channels
            kind = {1: "grey images", 3: "RGB images"}.get(wanted, f"images of {wanted} channels")
            advice = f"convert all to {kind if known else 'one number of channels'}{', or change --channels' if option else ''}"
            raise DataError(f"{case.name} has {case.channels} channels", f"{wanted} ({reason})", advice)
    return wanted, reason


def parse_intensity(option: str) -> tuple[str, list[tuple[float, ...]]]:
    """Parse `--intensity`: a method, and the numbers after a colon, two tuples of equal length or none.

    Raises:
        OptionsError: if the method is unknown, or the numbers do not have its form.
    """
    method, colon, text = option.partition(":")
    if method not in ("auto", *INTENSITIES) or (colon and method not in _FORMS):
        known = f"auto, {', '.join(INTENSITIES)}, window:LEVEL,WIDTH or standardize:MEAN,SPREAD"
        raise OptionsError(f"--intensity is {option}", known, "choose one of them")
    if not colon:
        return method, []
    try:
        numbers = [tuple(float(v) for v in part.split("+")) for part in text.split(",")]
    except ValueError:
        numbers = []
    expected, like, most = _FORMS[method]
    complete = len(numbers) == 2 and len(numbers[0]) == len(numbers[1]) <= most
    if not complete or not all(map(math.isfinite, (*numbers[0], *numbers[1]))) or min(numbers[1]) <= 0:
        raise OptionsError(f"--intensity is {option}", expected, f"write it like {like}")
    return method, numbers


def choose_intensity(
    statistics: DataStatistics, channels: int, option: str, kept: Kept = _NOTHING
) -> tuple[Intensity, str]:
    """Choose how grey values become floats.

    Args:
        statistics: statistics of the training images.
        channels: number of channels of the network.
        option: `auto`, the name of a method, `window:LEVEL,WIDTH` in raw grey values, or `standardize:MEAN,SPREAD` as
            fractions of the dtype's maximum, with several channels `M1+M2+M3,S1+S2+S3`.
        kept: choices of an earlier training.
    """
    method, numbers = parse_intensity(option)
    reason = "set by you"
    if kept.intensity and kept.pixels == statistics.pixels:
        method, reason = kept.intensity.method, kept.why
        if len(kept.intensity.mean) in (0, channels):
            return kept.intensity, reason
        reason += ", measured again for another number of channels"
    elif method == "auto":
        method, reason = _auto_intensity(statistics)
    if method == "window":
        return _window(statistics, numbers), reason
    if method == "zscore":
        usual = float(
            np.percentile([min(s.std) for s in statistics.cases], 10)
        )  # not the minimum, which may be that of an empty image
        floor = max(1e-4, usual / 2)
        return Intensity("zscore", std_floor=floor), reason
    if method == "standardize" and numbers:
        return _standardize(numbers, channels), reason
    if method == "standardize":
        weights = np.array([s.pixels.sum() for s in statistics.cases], np.float64)[:, None]
        table = np.array([s.mean if len(s.mean) == channels else s.mean * channels for s in statistics.cases])
        spread = np.array([s.std if len(s.std) == channels else s.std * channels for s in statistics.cases])
        mean = (table * weights).sum(0) / weights.sum()
        variance = ((spread**2 + (table - mean) ** 2) * weights).sum(0) / weights.sum()
        return Intensity(
            "standardize", mean=tuple(mean.tolist()), std=tuple(np.sqrt(variance).clip(1e-6).tolist())
        ), reason
    return Intensity("scale"), reason


def _auto_intensity(statistics: DataStatistics) -> Choice:
    if any(s.percentiles[0] < 0 for s in statistics.cases):
        return "window", "grey values are signed, as in CT; the window spans their 0.5 to 99.5 percentiles"
    if any(np.dtype(s.dtype).kind == "f" and s.percentiles[1] > 1 for s in statistics.cases):
        return "zscore", "the images are floating-point with an unknown scale"
    # the range, because the standard deviation also depends on how much of an image is covered
    ranges = [s.percentiles[1] - s.percentiles[0] for s in statistics.cases]
    low, high = np.percentile(ranges, [10, 90])
    ratio = float(high / max(low, 1e-6))
    if ratio > 2:
        return "zscore", f"the range of grey values differs {ratio:.1f}-fold from image to image"
    return "standardize", "the range of grey values is similar in all images"


def _window(statistics: DataStatistics, numbers: Sequence[tuple[float, ...]]) -> Intensity:
    if numbers:
        (level,), (width,) = numbers
    else:
        low = float(np.median([s.percentiles[0] for s in statistics.cases]))
        high = float(np.median([s.percentiles[1] for s in statistics.cases]))
        level, width = (low + high) / 2, max(high - low, 1e-6)
    return Intensity("window", level=level, width=width)


def _standardize(numbers: Sequence[tuple[float, ...]], channels: int) -> Intensity:
    """Use the numbers that another network was trained with."""
    mean, spread = numbers
    if len(mean) != channels:
        form = "+".join(["0.5"] * channels)
        problem = f"--intensity standardize has numbers for {len(mean)} channel{'s'[: len(mean) > 1]}"
        raise DataError(
            problem, f"a mean and a spread for each of the {channels} channels of the network" if channels > 1 else "one channel",
            f"write it like standardize:{form},{form}, as fractions of the dtype's maximum",
        )  # fmt: skip
    return Intensity("standardize", mean=mean, std=spread)


def choose_geometry(statistics: DataStatistics, option: str, kept: Kept = _NOTHING) -> Choice:
    """Choose the geometry.

    Args:
        statistics: statistics of the training images.
        option: `auto` or the name of a geometry.
        kept: choices of an earlier training.

    Raises:
        DataError: if the option is unknown, or is not `tile` for volumes.
    """
    if option != "auto" and option not in GEOMETRIES:
        raise OptionsError(f"--geometry is {option}", f"auto, {', '.join(GEOMETRIES)}", "choose one of them")
    if volumes := [s for s in statistics.cases if len(s.shape) > 2]:
        if option in ("auto", "tile"):
            return "tile", "volumes keep their own resolution"
        problem = f"--geometry is {option}, but {volumes[0].name} is a volume"
        raise DataError(problem, "tile", "leave out --geometry")
    if option != "auto":
        return option, "set by you"
    if kept.geometry:
        return kept.geometry, kept.why
    wide, output_px = float(np.mean([s.wide_share for s in statistics.cases])), statistics.output_px
    if wide > 0.5:
        return "fit", f"{wide:.0%} of the foreground is in objects wider than an output window of {output_px} px"
    return "tile", f"objects fit into an output window of {output_px} px, at full resolution"


def choose_class_weights(statistics: DataStatistics, option: str) -> tuple[tuple[float, ...], str]:
    """Choose the weights of the classes, with a mean of 1 over the pixels.

    Args:
        statistics: statistics of the training images.
        option: `auto`, `none`, `balance` (1 / share) or `root` (1 / √share).
    """
    share = np.maximum(statistics.class_shares, 1e-4)
    rarest = float(share.min())
    method, reason = option, "set by you"
    if option == "auto":
        method = "root" if rarest < 0.02 else "none"
        reason = f"the rarest class has {rarest:.1%} of the pixels for training; the Dice loss balances the rest"
    powers = {"none": 0.0, "root": -0.5, "balance": -1.0}
    if method not in powers:
        raise OptionsError(f"--class-weights is {option}", "auto, none, root or balance", "choose one of them")
    weights = share ** powers[method]
    return tuple((weights / (weights * share).sum()).tolist()), f"{method}: {reason}"


def choose_balance(statistics: DataStatistics, option: float | None) -> tuple[float, str]:
    """Choose the fraction of training windows that are placed on a class drawn uniformly; others are placed anywhere."""
    if option is not None:
        return option, "set by you"
    rarest = float(statistics.class_shares.min())
    if rarest < 0.4:
        return 0.5, f"the rarest class has {rarest:.1%} of the pixels for training and would be rare in windows"
    return 0.0, "no class is rare"


def choose_augmentation(intensity: Intensity | None, option: str) -> Choice:
    """Choose the augmentation in the form of `Augmentation.parse`. Settings after `auto` are added to the choice.

    Args:
        intensity: how grey values become floats; None for a regression, whose targets depend on unchanged grey values.
        option: value of `--augment`.

    Raises:
        DataError: if the option is not an augmentation.
    """
    name, *settings = (part.strip() for part in option.split(","))
    reason = "set by you"
    if name == "auto" and intensity is None:
        name, reason = "none", "the targets depend on grey values and exact pixels, so both stay unchanged"
        settings = settings if any(s.startswith("flips=") for s in settings) else ["flips=square", *settings]
    elif name == "auto":
        name, reason = "slight", "exposures are similar"
        if intensity and intensity.method in ("scale", "zscore"):
            name, reason = "wide", "exposures differ from image to image"
        reason += ", with your settings" if settings else ""
    text = ",".join([name, *settings])
    Augmentation.parse(text)
    return text, reason


def choose_outputs(
    targets: Sequence[TargetStatistics], names: Sequence[str], option: str | None = None, kept: Kept = _NOTHING
) -> tuple[OutputInfo, ...]:
    """Choose the outputs for the contract. The network predicts values with mean 0 and spread 1 over the training targets.

    Args:
        targets: statistics of the targets of the training cases.
        names: names of the outputs from the reader.
        option: `NAME[=UNIT],…` for other names and units; None to keep the names.
        kept: choices of an earlier training.

    Raises:
        DataError: if the number of names is wrong, a name is repeated, or a target is constant.
    """
    named = _named(names, option)
    if [(o.name, o.unit) for o in named] == [(o.name, o.unit) for o in kept.outputs]:
        return kept.outputs
    counts = np.array([[e.count] for e in targets], np.float64)
    mean = (np.array([e.mean for e in targets]) * counts).sum(axis=0) / counts.sum()
    squares = np.array([e.std**2 + (e.mean - mean) ** 2 for e in targets])
    std = np.sqrt((squares * counts).sum(axis=0) / counts.sum())
    low, high = (end([getattr(e, part) for e in targets], axis=0) for end, part in ((np.min, "low"), (np.max, "high")))
    found: list[OutputInfo] = []
    for i, output in enumerate(named):
        if not low[i] < high[i]:
            problem = f"the targets of {output.name} are {low[i]:g} everywhere"
            raise DataError(problem, "values that differ", "leave out this output, or correct the targets")
        first, last = float(low[i]), float(high[i])
        found.append(replace(output, offset=float(mean[i]), scale=float(std[i]), low=first, high=last))
    return tuple(found)


def _named(names: Sequence[str], option: str | None) -> list[OutputInfo]:
    if option is None:
        return [OutputInfo(name) for name in names]
    parts = [[word.strip() for word in part.partition("=")[::2]] for part in option.split(",")]
    given = [name for name, _ in parts]
    if len(given) != len(names) or len(set(given)) < len(given) or not all(given):
        expected = f"a name for each of {', '.join(names)}, each once"
        raise OptionsError(f"--outputs is {option}", expected, "write NAME=UNIT or NAME, separated by commas")
    return [OutputInfo(name, unit=unit) for name, unit in parts]
