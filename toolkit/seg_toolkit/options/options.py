"""Options of `seg-edge train`, `import` and `evaluate`, with their names, types, help texts and defaults.

The command line builds its options from these classes. Recipes and configuration files set them by name. `rules` defines
which of them fit together. A default of None means that the data or the network decides.
"""

from __future__ import annotations

import math
from dataclasses import Field, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import click
from seg_runtime.cli.options import PATH, Options, Sides, option
from seg_runtime.support import OptionsError, parse_pixel_size

from .kept import Kept

_MAX_LR = 100.0
_OF_TRAINING = ("val_fraction", "val_list", "fold", "group")  # in addition to the group Training
_MEASURES = (
    "ap, f1, pq, seg and count for objects; hd95 and surface-dice=2 or =1.5mm for each class, with a tolerance in px or mm;"
    " rand and voi for objects that a membrane or background separates; or none"
)
_EMPTY = (
    "Dice score of a class that is neither in the image nor found: skip leaves it out of the mean, one counts it as 1"
)
_data = partial(option, group="Data")
_network = partial(option, group="Network", of="network")
_training = partial(option, group="Training")
_output = partial(option, group="Output")


def _group() -> Any:
    return _data(
        None, "Keep images of one source, such as time points or tiles, on one side of the split. In the pattern, {source} is"
        " the part of the name that they share, {n} a number, {nn} a number of two digits, * anything:"
        " {source}_t{n}. Equal images are kept together without it.", metavar="PATTERN",
    )  # fmt: skip


class _Fold(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """A part of a cross-validation: its number from 1, and the number of parts."""

    name = "fold"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text K/N."""
        place, slash, count = (part.strip() for part in str(value).partition("/"))
        if not (slash and place.isdecimal() and count.isdecimal() and 1 <= int(place) <= int(count) and int(count) > 1):
            self.fail(f"{value!r} is not a part such as 1/5.", param, ctx)
        return f"{int(place)}/{int(count)}"


@dataclass(frozen=True, kw_only=True)
class ReadingOptions(Options):
    """Options of all commands that take DATA: how it is read."""

    reader: str | None = _data(
        None, "Layout of the data set in DATA, with its options as in pairs:ring=3 [default: the one that DATA"
        " looks like, such as pairs, which is images/ and masks/].", metavar="NAME",
    )  # fmt: skip
    classes: str | None = _data(
        None, "Names and mask values of the classes: background=0,cell=255#ff8800; "
        "0-127 is a range, #ff8800 alone the colour of the class in the masks.",
        metavar="NAME=VALUE,…", of="answer",
    )  # fmt: skip
    ignore_value: str | None = _data(
        None, "Mask value of pixels that are not annotated, such as 255: they have no weight and no score"
        " [for evaluate the model's own].", metavar="VALUE", of="answer",
    )  # fmt: skip
    pixel_size: str | None = _data(
        None, "Size of a pixel, such as 0.325um or 2x0.5x0.5mm [default: what the files state].", metavar="SIZE",
    )  # fmt: skip
    snap_values: bool = _data(
        False, "Count stray mask values, a few pixels in a few masks, as the class with the nearest value.", of="answer",
    )  # fmt: skip

    @property
    def stated(self) -> dict[str, str]:
        """Options of the reader that have options of their own, as text."""
        if self.pixel_size:
            parse_pixel_size(self.pixel_size)  # before a comma would separate the options of the reader
        size = (self.pixel_size or "").replace(" ", "")
        return {key: text for key, text in (("ignore", self.ignore_value), ("pixel-size", size)) if text}


@dataclass(frozen=True, kw_only=True)
class CheckOptions(ReadingOptions):
    """Options of `seg-edge check`."""

    group: str | None = _group()
    out: Path | None = option(
        None, "Also write a page for the browser with small pictures of the images, such as check.html.", PATH,
        group="Output", flag="-o,--out", metavar="FILE.HTML", common=True,
    )  # fmt: skip
    as_json: bool = option(False, "Print the report as JSON on stdout.", group="Output", flag="--json", common=True)


@dataclass(frozen=True, kw_only=True)
class DataOptions(ReadingOptions):
    """Options that training and evaluation share: how DATA is read and scored."""

    metrics: str | None = _output(
        None, f"Measures that seg-edge evaluate will add to Dice and IoU: {_MEASURES} [default: none].", metavar="NAME,…", of="answer",
    )  # fmt: skip
    empty_dice: str | None = _output(
        None, f"{_EMPTY} [default: skip].", click.Choice(["skip", "one"]), of="answer",
    )  # fmt: skip
    val_list: Path | None = _data(
        None,
        "Text file with the names of the validation images, one on each line, or the .split.json of another model.",
        PATH,
        metavar="FILE",
    )
    device: str = option(
        "auto", "Device that computes; auto uses CUDA if PyTorch can use it.", click.Choice(["auto", "cpu", "cuda"]),
        group="Device", common=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Raise OptionsError if a number is infinite or NaN."""
        for flag, f in self.options().items():
            value = getattr(self, f.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise OptionsError(f"{flag} is {value}", "a finite number", "correct the number")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """Options of a training.

    Attributes:
        recipe: name of the recipe whose defaults are used.
        kept: choices of an earlier training that this one continues.
        trains: whether a network is trained.
    """

    trains: ClassVar[bool] = True

    recipe: str = ""
    kept: Kept = Kept()

    parent: Path | None = _training(
        None, "Start from the weights of this model instead of new ones: a checkpoint of seg-train or of seg-edge import; with"
        " --network ternaus also the weights of a torchvision vgg11.", PATH, flag="--from", metavar="MODEL.PT", common=True,
    )  # fmt: skip
    freeze: str = _training(
        "none", "With --from, part of the network whose weights stay as they are; encoder is the contracting path.",
        click.Choice(["none", "encoder"]),
    )  # fmt: skip
    steps: int | None = _training(
        None, "Optimizer steps in all [default: 3000, with --from 1000].", click.IntRange(1), common=True
    )
    epochs: int | None = _training(None, "Passes over the training images, instead of --steps.", click.IntRange(1))
    batch_size: int = _training(2, "Windows in each step.", click.IntRange(1))
    lr: float | None = _training(None, "Learning rate [default: 1e-3 for adamw, 1e-4 for sgd].", click.FLOAT)
    optimizer: str = _training(
        "adamw", "Optimizer; sgd has a momentum of 0.99, as in the U-Net paper.", click.Choice(["adamw", "sgd"])
    )
    loss: str | None = _training(
        None, "Loss of a regression: l1, l2, ssim or a sum such as l1+ssim [default: l1].",
        metavar="NAME", of="answer",
    )  # fmt: skip
    class_weights: str = _training(
        "auto", "Weights of the classes in the loss: root is 1/sqrt(share of the pixels), balance is 1/share.",
        click.Choice(["auto", "none", "root", "balance"]), of="answer",
    )  # fmt: skip
    border_weight: float | None = _training(
        None, "Weight w0 of the border between touching cells in the weight map [default: 10, as in the paper, if DATA has"
        " instances and no masks, and for objects; else 0].", click.FloatRange(0), of="answer",
    )  # fmt: skip
    dice_weight: float = _training(
        1.0, "Weight of the Dice loss that is added to the cross-entropy.", click.FloatRange(0), of="answer"
    )
    augment: str = _training("auto", "Augmentation: auto, none, slight or wide, which says how much grey values vary.")
    balance: float | None = _training(
        None, "Share of the windows that are placed on a class drawn at random [default: chosen from the data].",
        click.FloatRange(0, 1), of="answer",
    )  # fmt: skip
    seed: int = _training(0, "Seed of the weights, the split and the augmentation.", click.IntRange(0, 2**32 - 1))
    workers: int = _training(1, "Processes that prepare windows.", click.IntRange(0, 64))
    resume: bool = _training(
        False, "Continue the run of --out, interrupted or finished. Options that are not given stay those of the run; more"
        " --steps, another --lr and added images are possible.", common=True,
    )  # fmt: skip

    answer: str | None = _data(
        None, "What the network learns: labels, objects, values, or an answer of another package [default: what DATA has].",
        metavar="NAME",
    )  # fmt: skip
    separation: str | None = _data(
        None, "How touching objects are separated: by a class for borders, or by two maps of distances [default: border].",
        click.Choice(["border", "distance"]), of="answer",
    )  # fmt: skip
    codes: Path | None = _data(
        None, "JSON file with the DICOM codes of each class, by its name.", PATH, metavar="FILE.JSON", of="answer"
    )
    outputs: str | None = _data(
        None, "Names and units of a regression's outputs [default: the reader's].", metavar="NAME[=UNIT],…", of="answer"
    )
    channels: int | None = _data(
        None, "Image channels of the network [default: chosen from the data].", click.IntRange(1, 64)
    )
    intensity: str = _data(
        "auto", "How grey values become floats: auto, scale, standardize[:MEAN,SPREAD], zscore or window[:LEVEL,WIDTH]."
    )
    geometry: str = _data(
        "auto", "How an image becomes windows: tile cuts it at full resolution, fit and stretch resize it to one window.",
        click.Choice(["auto", "tile", "fit", "stretch"]),
    )  # fmt: skip
    val_fraction: float = _data(
        0.2, "Share of the images that are kept for validation.", click.FloatRange(0, 1, min_open=True, max_open=True)
    )
    fold: str | None = _data(
        None, "Keep part K of N equal parts of the images for validation, such as 1/5, instead of --val-fraction. N trainings,"
        " one for each part, make a cross-validation.", _Fold(), metavar="K/N",
    )  # fmt: skip
    group: str | None = _group()

    network: str | None = _network(
        None,
        "Network; see `seg-edge recipes` for what suits which task [default: unet].",
        of="",
        common=True,
        metavar="NAME",
    )
    width: int | None = _network(
        None,
        "Feature maps of the first level [default: the network's own, 64 for unet].",
        click.IntRange(1),
        common=True,
    )
    depth: int | None = _network(
        None, "Number of poolings [default: the network's own, 4 for unet].", click.IntRange(1, 6)
    )
    input_size: str | None = _network(
        None, "Side of a window: 16k + 60 at depth 4 for a whole number k, such as 316, 444 or 572 [default: the network's own,"
        " 572 for unet].", Sides(), of="", metavar="PX",
    )  # fmt: skip
    skip: str | None = _network(
        None, "How a skip connection fits its maps to the smaller ones that it joins: crop to the centre, or resize all"
        " [default: crop].", click.Choice(["crop", "resize"]),
    )  # fmt: skip
    padding: str | None = _network(
        None, "Padding of the convolutions. With same, tiles stay exact too, because only the centre of a window is used"
        " [default: valid].", click.Choice(["valid", "same"]),
    )  # fmt: skip
    norm: str | None = _network(
        None, "Normalization after convolutions [default: none].", click.Choice(["none", "batch", "instance"])
    )
    margin: int | None = _network(
        None, "Ring of a window that a padded network discards; 0 for whole images [default: as much as padding can reach].",
        click.IntRange(0), metavar="PX",
    )  # fmt: skip
    dropout: float | None = _network(
        None, "Dropout at the end of the contracting path [default: 0.1].", click.FloatRange(0, 1, max_open=True)
    )

    overwrite: bool = _output(False, "Replace the model or the unfinished run at --out.", common=True)

    def __post_init__(self) -> None:
        """Raise OptionsError if the learning rate is out of range."""
        super().__post_init__()
        if self.lr is not None and not 0 < self.lr <= _MAX_LR:
            expected = f"a number above 0 and up to {_MAX_LR:g}"
            raise OptionsError(f"--lr is {self.lr}", expected, "start with 1e-3 for adamw or 1e-4 for sgd")


@dataclass(frozen=True, kw_only=True)
class ImportOptions(TrainOptions):
    """Options for importing weights of other programs."""

    trains: ClassVar[bool] = False

    skip_first: bool = _network(
        False,
        "The network concatenates [skip, upsampled], not [upsampled, skip]. Without it, the scores on DATA decide.",
        of="",
        common=True,
    )

    @classmethod
    def options(cls, of: str = "") -> dict[str, Field[Any]]:
        """Options without those of a training."""
        return {
            flag: f for flag, f in super().options(of).items()
            if f.metadata["group"] != "Training" and f.name not in _OF_TRAINING
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """Options of an evaluation. The data options default to those of the training."""

    reader: str | None = _data(
        None,
        "Layout of the data set in DATA, with its options as in pairs:ring=3 [default: that of the training].",
        metavar="NAME",
    )
    classes: str | None = _data(
        None, "Mask values of the classes of the model, if they differ from those of the training: background=0,cell=255.",
        metavar="NAME=VALUE,…", of="answer", common=True,
    )  # fmt: skip
    metrics: str | None = _output(
        None,
        f"Further measures: {_MEASURES} [default: those that the training named].",
        metavar="NAME,…",
        of="answer",
        common=True,
    )
    empty_dice: str | None = _output(
        None, f"{_EMPTY} [default: that of the training].", click.Choice(["skip", "one"]), of="answer"
    )
    val_list: Path | None = _data(
        None, "Score only these images: a text file with their names, one on each line.", PATH, metavar="FILE"
    )
    include_training: bool = _data(False, "Also score the images that the model was trained on.", common=True)
    json_path: Path | None = _output(
        None, "Also write the scores to this file.", PATH, flag="--json", metavar="FILE", common=True
    )
    csv_path: Path | None = _output(
        None, "Write the scores of each image to this file, the worst image first.", PATH, flag="--csv", metavar="FILE.CSV",
        common=True,
    )  # fmt: skip
    worst_path: Path | None = _output(
        None, "Draw the images with the lowest scores, with outlines of masks and results, as PNG.", PATH, flag="--worst",
        metavar="FILE.PNG",
    )  # fmt: skip
    attention: Path | None = _output(
        None,
        "Write where an attention network looks, one heat map for each gate, into this folder.",
        PATH,
        metavar="DIR",
    )
    tta: bool = _output(
        False, "Test-time augmentation: average each window over all eight turns and mirrorings, as seg-run --tta does.",
        common=True,
    )  # fmt: skip
