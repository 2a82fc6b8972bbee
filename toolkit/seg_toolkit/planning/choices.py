"""What the data decides unless an option does: channels, intensity, geometry, weights, balance, augmentation, outputs.

Each choice comes with its reason, for people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from seg_runtime.model import GEOMETRIES, INTENSITIES, Intensity, OutputInfo
from seg_runtime.support import DataError

from ..data import Augmentation
from .statistics import DataStatistics, TargetStatistics

Choice = tuple[str, str]
"""What was chosen, and why."""


def choose_channels(statistics: DataStatistics, option: int | None = None) -> tuple[int, str]:
    """1 where every image is grey, else 3, else what the images have.

    Raises:
        DataError: images that cannot be brought to one number of channels without loss, or to the given one.
    """
    found = {s.channels for s in statistics.cases}
    wanted, reason = option or max(found), "as asked"
    if not option:
        reason = "every image is grey" if found == {1} else "colour images" if found <= {1, 3} else f"{wanted} channels"
    for case in statistics.cases:
        if case.channels != wanted and (case.channels, wanted) != (1, 3):
            fix = "convert the images, or choose other --channels"
            raise DataError(f"{case.name} has {case.channels} channels", f"{wanted} ({reason})", fix)
    return wanted, reason


def choose_intensity(statistics: DataStatistics, channels: int, option: str) -> tuple[Intensity, str]:
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
            np.percentile([min(s.std) for s in statistics.cases], 10)
        )  # not the minimum: that may be an empty field
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
        return "window", "signed grey values, as in CT; the window spans 0.5 to 99.5 % of them"
    if any(np.dtype(s.dtype).kind == "f" and s.percentiles[1] > 1 for s in statistics.cases):
        return "zscore", "floating-point images on a scale of their own"
    # the range and not the standard deviation: that follows how much of an image is covered, too
    ranges = [s.percentiles[1] - s.percentiles[0] for s in statistics.cases]
    low, high = np.percentile(ranges, [10, 90])
    ratio = float(high / max(low, 1e-6))
    if ratio > 2:
        return "zscore", f"the range of grey values differs {ratio:.1f}-fold from image to image"
    return "standardize", "the range of grey values is alike from image to image"


def _window(statistics: DataStatistics, numbers: str) -> Intensity:
    if numbers:
        try:
            level, width = (float(v) for v in numbers.split(","))
        except ValueError as error:
            raise DataError(
                f"--intensity window:{numbers}", "window:LEVEL,WIDTH such as window:40,400", "write it like that"
            ) from error
    else:
        low = float(np.median([s.percentiles[0] for s in statistics.cases]))
        high = float(np.median([s.percentiles[1] for s in statistics.cases]))
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


def choose_geometry(statistics: DataStatistics, option: str) -> Choice:
    """The geometry, and why.

    Raises:
        DataError: an unknown one, or another than `tile` for volumes.
    """
    if option != "auto" and option not in GEOMETRIES:
        raise DataError(f"--geometry {option}", f"auto, {', '.join(GEOMETRIES)}", "choose one")
    if volumes := [s for s in statistics.cases if len(s.shape) > 2]:
        if option in ("auto", "tile"):
            return "tile", "volumes keep their own resolution"
        raise DataError(f"--geometry {option} and the volume {volumes[0].name}", "tile", "leave --geometry out")
    if option != "auto":
        return option, "as asked"
    wide, output_px = float(np.mean([s.wide_share for s in statistics.cases])), statistics.output_px
    if wide > 0.5:
        return "fit", f"{wide:.0%} of the foreground lies in objects wider than the {output_px} px of an output window"
    return "tile", f"objects fit into an output window of {output_px} px; full resolution"


def choose_class_weights(statistics: DataStatistics, option: str) -> tuple[tuple[float, ...], str]:
    """Weight per class with a mean of 1 over the pixels, and why.

    Args:
        statistics: of the training images.
        option: `auto`, `none`, `balance` (1 / share) or `root` (1 / √share).
    """
    share = np.maximum(statistics.class_shares, 1e-4)
    rarest = float(share.min())
    method, reason = option, "as asked"
    if option == "auto":
        method = "root" if rarest < 0.02 else "none"
        reason = f"the rarest class has {rarest:.1%} of the pixels; the Dice term balances the rest"
    powers = {"none": 0.0, "root": -0.5, "balance": -1.0}
    if method not in powers:
        raise DataError(f"--class-weights {option}", "auto, none, root or balance", "choose one")
    weights = share ** powers[method]
    return tuple((weights / (weights * share).sum()).tolist()), f"{method}: {reason}"


def choose_balance(statistics: DataStatistics, option: float | None) -> tuple[float, str]:
    """Share of the training windows that are placed on a pixel of a class drawn evenly, and why; the others lie anywhere."""
    if option is not None:
        return option, "as asked"
    rarest = float(statistics.class_shares.min())
    if rarest < 0.4:
        return 0.5, f"so that the rarest class, {rarest:.1%} of the pixels, is met often"
    return 0.0, "no class is rare"


def choose_augmentation(intensity: Intensity | None, option: str) -> Choice:
    """The augmentation as `Augmentation.parse` takes it, and why; settings after `auto` are added to what is chosen.

    Args:
        intensity: how grey values become floats; None where the answer follows from grey values, which must stay as they are.
        option: of `--augment`.

    Raises:
        DataError: not an augmentation.
    """
    name, *settings = (part.strip() for part in option.split(","))
    reason = "as asked"
    if name == "auto" and intensity is None:
        name, reason = "none", "grey values and pixels stay as they are, since the values follow from them"
        settings = settings if any(s.startswith("flips=") for s in settings) else ["flips=square", *settings]
    elif name == "auto":
        name, reason = "slight", "exposures are alike"
        if intensity and intensity.method in ("scale", "zscore"):
            name, reason = "wide", "exposures differ from image to image"
        reason += ", with settings as asked" if settings else ""
    text = ",".join([name, *settings])
    Augmentation.parse(text)
    return text, reason


def choose_outputs(
    targets: Sequence[TargetStatistics], names: Sequence[str], option: str | None = None
) -> tuple[OutputInfo, ...]:
    """The outputs as a contract has them: the network gives values of mean 0 and spread 1 over the training targets.

    Args:
        targets: of the training cases.
        names: that the reader gives.
        option: `NAME[=UNIT],…`, other names, and units; None for none.

    Raises:
        DataError: another number of names, one twice, or targets that are the same everywhere.
    """
    named = _named(names, option)
    counts = np.array([[e.count] for e in targets], np.float64)
    mean = (np.array([e.mean for e in targets]) * counts).sum(axis=0) / counts.sum()
    squares = np.array([e.std**2 + (e.mean - mean) ** 2 for e in targets])
    std = np.sqrt((squares * counts).sum(axis=0) / counts.sum())
    low, high = (end([getattr(e, part) for e in targets], axis=0) for end, part in ((np.min, "low"), (np.max, "high")))
    found: list[OutputInfo] = []
    for i, output in enumerate(named):
        if not low[i] < high[i]:
            problem = f"the targets of {output.name} are {low[i]:g} everywhere"
            raise DataError(problem, "values that differ", "leave this output out, or correct the targets")
        first, last = float(low[i]), float(high[i])
        found.append(replace(output, offset=float(mean[i]), scale=float(std[i]), low=first, high=last))
    return tuple(found)


def _named(names: Sequence[str], option: str | None) -> list[OutputInfo]:
    if option is None:
        return [OutputInfo(name) for name in names]
    parts = [[word.strip() for word in part.partition("=")[::2]] for part in option.split(",")]
    given = [name for name, _ in parts]
    if len(given) != len(names) or len(set(given)) < len(given) or not all(given):
        wanted = f"{len(names)} names, each once, for {', '.join(names)}"
        raise DataError(f"--outputs {option}", wanted, "write them as NAME=UNIT or NAME, with commas")
    return [OutputInfo(name, unit=unit) for name, unit in parts]
