"""The options of `seg-train`: each is named, typed, explained and given its default here. None leaves a choice to the data or the network.

The command line makes its options of these classes, recipes set them by name, and rules say which fit together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import click
from seg_runtime.cli.options import PATH, Options, option
from seg_runtime.support import SegError

_MAX_LR = 100.0


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """What training and evaluation have in common: how DATA is read and scored."""

    reader: str | None = option(
        None, "How the data set lies in DATA, with options as in pairs:ring=3; nifti, brats and sparse are volumes [default: pairs,"
        " which is images/ and masks/; with --evaluate the model's own].",
    )  # fmt: skip
    classes: str | None = option(
        None, "NAME=VALUE,… of the masks, the background first: background=0,cell=255#ff8800.", of="answer"
    )
    metrics: str | None = option(
        None, "What --evaluate measures besides: hd95 and surface-dice=PX of each class, PX being the tolerance, all in px or"
        " voxels; rand and voi of the objects that a membrane or background separates; none [default: what the model was trained"
        " with, else none].",
        metavar="NAME,…", of="answer",
    )  # fmt: skip
    empty_dice: str | None = option(
        None, "Score of a class that an image lacks and the model does not find; skip leaves it out of the mean [default: skip;"
        " with --evaluate the model's own].",
        click.Choice(["skip", "one"]), of="answer",
    )  # fmt: skip
    val_list: Path | None = option(None, "Text file with the names of the validation images, one a line.", PATH)
    device: str = option("auto", "Where to compute.", click.Choice(["auto", "cpu", "cuda"]))

    def __post_init__(self) -> None:
        """Refuse numbers that are infinite or NaN."""
        for flag, f in self.options().items():
            value = getattr(self, f.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise SegError(f"{flag} {value}", "a finite number", "correct it")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(DataOptions):
    """What a training takes. `recipe` is the name of the recipe whose defaults were taken, for the record."""

    recipe: str = ""

    answer: str | None = option(
        None, "What the network answers: labels or values, or an answer of another package [default: what DATA teaches].", metavar="NAME",
    )  # fmt: skip
    codes: Path | None = option(
        None, "What each class is in DICOM's codes, by its name.", PATH, metavar="FILE.JSON", of="answer"
    )
    outputs: str | None = option(
        None, "Of values: NAME[=UNIT],… of the outputs [default: the reader's].", metavar="NAMES", of="answer"
    )
    channels: int | None = option(
        None, "Image channels of the network [default: chosen from the data].", click.IntRange(1, 64)
    )
    intensity: str = option(
        "auto", "auto, scale, standardize[:MEAN,SPREAD], zscore or window[:LEVEL,WIDTH]: how grey values become floats."
    )
    geometry: str = option("auto", "How an image becomes windows.", click.Choice(["auto", "tile", "fit", "stretch"]))

    network: str = option("unet", "Of the family; --list-recipes shows what each task takes.")
    width: int | None = option(
        None, "Maps of the first level [default: the network's, 64 of unet].", click.IntRange(1), of="network"
    )
    depth: int | None = option(
        None, "Poolings [default: the network's, 4 of unet].", click.IntRange(1, 6), of="network"
    )
    input_size: str | None = option(None, "Side of a window: 16k + 60 at depth 4 [default: the network's own, 572].")
    skip: str = option("crop", "What the skips carry.", click.Choice(["crop", "resize"]), of="network")
    padding: str = option(
        "valid", "same pads every convolution; tiles stay exact, since only the centre of a window is used.",
        click.Choice(["valid", "same"]), of="network",
    )  # fmt: skip
    norm: str = option("none", "After convolutions.", click.Choice(["none", "batch", "instance"]), of="network")
    margin: int | None = option(
        None, "Ring of a window that a padded network drops; 0 for whole images [default: as much as it sees].",
        click.IntRange(0), metavar="PX", of="network",
    )  # fmt: skip
    dropout: float = option(
        0.1, "At the end of the contracting path.", click.FloatRange(0, 1, max_open=True), of="network"
    )
    pretrained: Path | None = option(
        None,
        "With --network ternaus: begin with the weights of a torchvision vgg11 in this file.",
        PATH,
        metavar="FILE",
    )

    class_weights: str = option(
        "auto", "root is 1/sqrt(share) of the pixels, balance is 1/share.",
        click.Choice(["auto", "none", "root", "balance"]), of="answer",
    )  # fmt: skip
    border_weight: float | None = option(
        None, "w0 of the weight map between cells, 10 in the paper [default: 10 with instances and no masks, else 0].",
        click.FloatRange(0), of="answer",
    )  # fmt: skip
    dice_weight: float = option(
        1.0, "Factor of the Dice term beside the cross-entropy.", click.FloatRange(0), of="answer"
    )
    loss: str | None = option(
        None, "Of values: l1, l2, ssim or a sum such as l1+ssim [default: l1, where the truth is values].",
        metavar="NAME", of="answer",
    )  # fmt: skip
    augment: str = option("auto", "auto, none, slight or wide: how far grey values are varied.")
    balance: float | None = option(
        None, "Share of windows placed on a class drawn evenly [default: chosen from the data].",
        click.FloatRange(0, 1), of="answer",
    )  # fmt: skip

    steps: int | None = option(None, "Optimizer steps [default: 3000].", click.IntRange(1))
    epochs: int | None = option(None, "Instead of --steps: passes over the training images.", click.IntRange(1))
    batch_size: int = option(2, "Windows in a step.", click.IntRange(1))
    lr: float | None = option(None, "Learning rate [default: 1e-3 for adamw, 1e-4 for sgd].", click.FLOAT)
    optimizer: str = option("adamw", "sgd has the paper's momentum of 0.99.", click.Choice(["adamw", "sgd"]))
    val_fraction: float = option(
        0.2, "Share of the images kept for validation.", click.FloatRange(0, 1, min_open=True, max_open=True)
    )
    seed: int = option(0, "Of weights, split and augmentation.", click.IntRange(0, 2**32 - 1))
    workers: int = option(1, "Processes that prepare windows.", click.IntRange(0))
    overwrite: bool = option(False, "Replace the model, or the unfinished run, that lies at --out.")
    resume: bool = option(False, "Continue the run that left its state beside --out.")

    def __post_init__(self) -> None:
        """Refuse a learning rate that cannot be."""
        super().__post_init__()
        if self.lr is not None and not 0 < self.lr <= _MAX_LR:
            raise SegError(f"--lr {self.lr}", f"a number above 0 and up to {_MAX_LR:g}", "1e-3 suits adamw, 1e-4 sgd")


@dataclass(frozen=True, kw_only=True)
class ImportOptions(TrainOptions):
    """What the import of weights takes that were trained elsewhere."""

    weights: Path = option(
        None, "Do not train: take the weights of a U-Net trained elsewhere, and score them on DATA.",
        PATH, flag="--import", metavar="STATE.PT",
    )  # fmt: skip
    skip_first: bool = option(False, "The imported network joins a skip before the upsampled map.")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(DataOptions):
    """What an evaluation takes."""

    model: Path = option(
        None, "Do not train: score this checkpoint on DATA.", PATH, flag="--evaluate", metavar="MODEL.PT"
    )
    json_path: Path | None = option(None, "With --evaluate: write the scores here too.", PATH, flag="--json")
    attention: Path | None = option(
        None, "With --evaluate: write where an attention network looks, a heat map for each gate.", PATH, metavar="DIR"
    )
    tta: bool = option(
        False, "With --evaluate: answer every window by the mean over it turned and mirrored in all eight ways, as seg-run"
        " --tta does.",
    )  # fmt: skip
