"""Look at the data before training, and choose what fits it: channels, intensity, geometry, class weights, borders."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.model.contract import GEOMETRIES
from seg_runtime.model.input import INTENSITIES, Intensity
from seg_runtime.pipeline import Array, dtype_maximum, mean_std
from seg_runtime.pipeline.fit import has_opaque_alpha, is_grey
from seg_runtime.support.errors import DataError

from ..data.augment import parse_augmentation
from ..data.case import Case, sized
from ..data.folder import ClassValues
from .outputs import Extent, extent

Choice = tuple[str, str]  # what was chosen, why


@dataclass(frozen=True)
class Sight:
    """What one case looks like."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """Per channel, in units of the dtype's maximum."""
    percentiles: tuple[float, float]
    """0.5 and 99.5 %, raw grey values."""
    pixels: NDArray[np.int64]
    """Per class."""
    wide_share: float
    """Share of the foreground in objects wider than an output window."""
    targets: Extent | None = None
    """Of a regression."""


def look(
    cases: Sequence[Case],
    classes: Sequence[ClassValues],
    output_px: int,
    progress: Callable[[Iterable[Case]], Iterable[Case]],
) -> list[Sight]:
    """Read every case once.

    Raises:
        DataError: an image and its mask differ in size, a stray mask value, or an image that cannot be read.
    """
    return [_sight(case, classes, output_px) for case in progress(cases)]


def _sight(case: Case, classes: Sequence[ClassValues], output_px: int) -> Sight:
    example = case.read(classes)
    image, labels = example.image, example.labels
    known = labels if example.known is None else labels[example.known]
    if not case.channel_files:  # else each is a channel, whatever it shows
        image = _told_apart(image)
    mean, std = mean_std(image)
    low, high = np.percentile(image[:: max(1, len(image) // 256)], [0.5, 99.5])
    return Sight(
        case.name, image.shape[:-1], str(image.dtype), image.shape[-1], tuple(mean.tolist()), tuple(std.tolist()),
        (float(low), float(high)), np.bincount(known.ravel(), minlength=len(classes)), _wide_share(labels, output_px),
        None if example.targets is None else extent(example.targets),
    )  # fmt: skip


def _told_apart(image: Array) -> Array:
    """Without the channels that say nothing."""
    if has_opaque_alpha(image):
        image = image[..., :-1]
    return image[..., :1] if image.shape[-1] == 3 and is_grey(image) else image


def _wide_share(labels: NDArray[np.uint8], output_px: int) -> float:
    if max(labels.shape) <= 2 * output_px or labels.ndim > 2:
        return 0.0  # windows show most of such an image anyway, and volumes are tiled in any case
    parts, _ = ndimage.label(labels > 0)
    sizes = np.bincount(parts.ravel())
    boxes = ndimage.find_objects(parts)
    wide = [i for i, box in enumerate(boxes, 1) if max(s.stop - s.start for s in box) > output_px]
    return float(sizes[wide].sum() / max(1, sizes[1:].sum()))


def shares(sights: Sequence[Sight]) -> NDArray[np.float64]:
    """Share of all pixels per class."""
    counts = np.sum([s.pixels for s in sights], axis=0)
    return np.asarray(counts / counts.sum())


def describe(sights: Sequence[Sight], classes: Sequence[ClassValues]) -> list[str]:
    """What was found, a line each."""
    sizes = Counter(sized(s.shape) for s in sights).most_common()
    kinds = Counter(f"{s.dtype}, {s.channels} channel{'s' * (s.channels > 1)}" for s in sights).most_common()
    stds = [float(np.mean(s.std)) for s in sights]
    return [
        f"{len(sights)} images: "
        + ", ".join(f"{n} × {size}" for size, n in sizes[:6])
        + (" …" if len(sizes) > 6 else ""),
        "pixels: " + "; ".join(f"{n} × {kind}" for kind, n in kinds),
        f"grey values: spread per image {min(stds):.3f} to {max(stds):.3f}"
        + (" of the full range" if all(np.dtype(s.dtype).kind == "u" for s in sights) else ", as they are"),
        *(
            ["classes: " + ", ".join(f"{c.info.name} {s:.2%}" for c, s in zip(classes, shares(sights), strict=True))]
            if classes
            else []
        ),
    ]


def check_axes(sights: Sequence[Sight], axes: int) -> None:
    """Refuse pictures for a network of volumes; volumes for a network of slices are fine.

    Raises:
        DataError: names the first.
    """
    if flat := next((s for s in sights if len(s.shape) < axes), None):
        fix = "choose another --network, or another --reader"
        raise DataError(f"{flat.name} is a picture", "volumes for a network of volumes", fix)


def choose_channels(sights: Sequence[Sight], asked: int | None = None) -> tuple[int, str]:
    """1 where every image is grey, else 3, else what the images have.

    Raises:
        DataError: images that cannot be brought to one number of channels without loss, or to the one asked for.
    """
    found = {s.channels for s in sights}
    wanted, reason = asked or max(found), "as asked"
    if not asked:
        reason = "every image is grey" if found == {1} else "colour images" if found <= {1, 3} else f"{wanted} channels"
    for sight in sights:
        if sight.channels != wanted and (sight.channels, wanted) != (1, 3):
            fix = "convert the images, or choose other --channels"
            raise DataError(f"{sight.name} has {sight.channels} channels", f"{wanted} ({reason})", fix)
    return wanted, reason


def choose_pixels(sights: Sequence[Sight]) -> str:
    """The kind of grey values, `integer` or `float`.

    Raises:
        DataError: both kinds in one data set.
    """
    kinds = {("integer" if np.dtype(s.dtype).kind == "u" else "float"): s.name for s in sights}
    if len(kinds) > 1:
        raise DataError(
            f"{kinds['integer']} has integers and {kinds['float']} floats", "one kind", "convert them to one dtype"
        )
    return next(iter(kinds))


def choose_intensity(sights: Sequence[Sight], channels: int, asked: str) -> tuple[Intensity, str]:
    """The intensity rule, and why.

    Args:
        sights: of the training images.
        channels: of the network.
        asked: `auto`, a method's name, `window:LEVEL,WIDTH` in raw grey values, or `standardize:MEAN,SPREAD` in shares of the
            dtype's maximum, with several channels `M1+M2+M3,S1+S2+S3`.
    """
    method, _, numbers = asked.partition(":")
    if method not in ("auto", *INTENSITIES) or (numbers and method not in ("window", "standardize")):
        known = f"auto, {', '.join(INTENSITIES)}, window:LEVEL,WIDTH or standardize:MEAN,SPREAD"
        raise DataError(f"--intensity {asked}", known, "choose one")
    reason = "as asked"
    if method == "auto":
        method, reason = _auto_intensity(sights)
    if method == "window":
        return _window(sights, numbers), reason
    if method == "zscore":
        usual = float(np.percentile([min(s.std) for s in sights], 10))  # not the minimum: that may be an empty field
        floor = max(1e-4, usual / 2)
        return Intensity("zscore", std_floor=floor), reason
    if method == "standardize" and numbers:
        return _standardize(numbers, channels), reason
    if method == "standardize":
        weights = np.array([s.pixels.sum() for s in sights], np.float64)[:, None]
        table = np.array([s.mean if len(s.mean) == channels else s.mean * channels for s in sights])
        spread = np.array([s.std if len(s.std) == channels else s.std * channels for s in sights])
        mean = (table * weights).sum(0) / weights.sum()
        variance = ((spread**2 + (table - mean) ** 2) * weights).sum(0) / weights.sum()
        return Intensity(
            "standardize", mean=tuple(mean.tolist()), std=tuple(np.sqrt(variance).clip(1e-6).tolist())
        ), reason
    return Intensity("scale"), reason


def _auto_intensity(sights: Sequence[Sight]) -> Choice:
    if any(s.percentiles[0] < 0 for s in sights):
        return "window", "signed grey values, as in CT; the window spans 0.5 to 99.5 % of them"
    if any(dtype_maximum(np.dtype(s.dtype)) == 1 and s.percentiles[1] > 1 for s in sights):
        return "zscore", "floating-point images on a scale of their own"
    # the range and not the standard deviation: that follows how much of an image is covered, too
    ranges = [s.percentiles[1] - s.percentiles[0] for s in sights]
    low, high = np.percentile(ranges, [10, 90])
    ratio = float(high / max(low, 1e-6))
    if ratio > 2:
        return "zscore", f"the range of grey values differs {ratio:.1f}-fold from image to image"
    return "standardize", "the range of grey values is alike from image to image"


def _window(sights: Sequence[Sight], numbers: str) -> Intensity:
    if numbers:
        try:
            level, width = (float(v) for v in numbers.split(","))
        except ValueError as error:
            raise DataError(
                f"--intensity window:{numbers}", "window:LEVEL,WIDTH such as window:40,400", "write it like that"
            ) from error
    else:
        low = float(np.median([s.percentiles[0] for s in sights]))
        high = float(np.median([s.percentiles[1] for s in sights]))
        level, width = (low + high) / 2, max(high - low, 1e-6)
    return Intensity("window", level=level, width=width)


def _standardize(numbers: str, channels: int) -> Intensity:
    """Of numbers that a network trained elsewhere was fed with."""
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


def choose_augmentation(intensity: Intensity, asked: str) -> Choice:
    """What `parse_augmentation` takes, and why; settings after `auto` are put on what is chosen."""
    name, comma, settings = asked.partition(",")
    reason = "as asked"
    if name == "auto":
        name, reason = "slight", "exposures are alike"
        if intensity.method in ("scale", "zscore"):
            name, reason = "wide", "exposures differ from image to image"
    text = f"{name}{comma}{settings}"
    parse_augmentation(text)
    return text, f"{reason}, with settings as asked" if comma and asked.startswith("auto") else reason


def choose_value_augmentation(asked: str) -> Choice:
    """The same for a regression: grey values and pixels stay as they are, since values are to follow from them."""
    name, *settings = (part.strip() for part in asked.split(","))
    if name != "auto":
        parse_augmentation(asked)
        return asked, "as asked"
    flips = [] if any(s.startswith("flips=") for s in settings) else ["flips=square"]
    text = ",".join(["none", *flips, *settings])
    parse_augmentation(text)
    return text, "grey values and pixels stay as they are, values follow from them"


def choose_balance(sights: Sequence[Sight], asked: float | None) -> tuple[float, str]:
    """Share of the training windows that are laid on a pixel of a class drawn evenly, and why; the others lie anywhere."""
    if asked is not None:
        return asked, "as asked"
    rarest = float(shares(sights).min())
    if rarest < 0.4:
        return 0.5, f"so that the rarest class, {rarest:.1%} of the pixels, is met often"
    return 0.0, "no class is rare"


def scarce_classes(sights: Sequence[Sight]) -> dict[int, list[int]]:
    """Classes that fewer than half of the images hold, with the places of those images."""
    found: dict[int, list[int]] = {}
    for index in range(len(sights[0].pixels)):
        places = [place for place, sight in enumerate(sights) if sight.pixels[index]]
        if 0 < len(places) < len(sights) / 2:
            found[index] = places
    return found


def choose_geometry(sights: Sequence[Sight], output_px: int, asked: str) -> Choice:
    """The geometry, and why.

    Raises:
        DataError: an unknown one, or another than `tile` for volumes.
    """
    if asked != "auto" and asked not in GEOMETRIES:
        raise DataError(f"--geometry {asked}", f"auto, {', '.join(GEOMETRIES)}", "choose one")
    if volumes := [s for s in sights if len(s.shape) > 2]:
        if asked in ("auto", "tile"):
            return "tile", "volumes keep their own resolution"
        raise DataError(f"--geometry {asked} and the volume {volumes[0].name}", "tile", "leave --geometry out")
    if asked != "auto":
        return asked, "as asked"
    wide = float(np.mean([s.wide_share for s in sights]))
    if wide > 0.5:
        return "fit", f"{wide:.0%} of the foreground lies in objects wider than the {output_px} px of an output window"
    return "tile", f"objects fit into an output window of {output_px} px; full resolution"


def choose_class_weights(sights: Sequence[Sight], asked: str) -> tuple[tuple[float, ...], str]:
    """Weight per class with a mean of 1 over the pixels, and why.

    Args:
        sights: of the training images.
        asked: `auto`, `none`, `balance` (1 / share) or `root` (1 / √share).
    """
    share = np.maximum(shares(sights), 1e-4)
    rarest = float(share.min())
    method, reason = asked, "as asked"
    if asked == "auto":
        method = "root" if rarest < 0.02 else "none"
        reason = f"the rarest class has {rarest:.1%} of the pixels; the Dice term balances the rest"
    powers = {"none": 0.0, "root": -0.5, "balance": -1.0}
    if method not in powers:
        raise DataError(f"--class-weights {asked}", "auto, none, root or balance", "choose one")
    weights = share ** powers[method]
    return tuple((weights / (weights * share).sum()).tolist()), f"{method}: {reason}"
