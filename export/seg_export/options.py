"""What a user asks of an export, and who is told what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from seg_runtime.cli.options import PATH, Options, option
from seg_runtime.model import HOST_DTYPES, PRECISIONS, Contract


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """The options of `seg-export`, by their names there. `rules` says which of them fit together."""

    images: Path | None = option(
        None, "Prove parity on these real images [default: generated ones]. DIR, here and below, is a data set in the layout that"
        " the model was trained on, or else a folder of images, in itself or in its subfolder images.", PATH, metavar="DIR",
    )  # fmt: skip
    input_size: int | str | None = option(
        None, "Side of the window, 16k + 60 at depth 4, or one for each axis [default: the checkpoint's].", metavar="PX"
    )
    codes: Path | None = option(None, "What each class is in DICOM's codes, by its name.", PATH, metavar="FILE.JSON")
    golden: Path | None = option(
        None, "Keep crops of real images in the file, too, for seg-run --self-test. Their pixels become part of the file: "
        "whoever gets it can look at them. Made-up images are kept always.", PATH, metavar="DIR",
    )  # fmt: skip
    host_ready: bool = option(
        False, "Put the whole pipeline into the graph: image of any size in, labels out, for hosts in any language."
    )
    host_dtype: str | None = option(None, "Grey values of its image. [default: uint8]", click.Choice(HOST_DTYPES))
    host_probabilities: bool = option(False, "Give it a second output, the probabilities (K, H, W).")
    precision: str = option(
        "fp32", "Compute in int8 (CPU) or fp16 (CUDA): written only if its masks agree with those of fp32 on real images.",
        click.Choice(PRECISIONS),
    )  # fmt: skip
    calibration: Path | None = option(
        None, "Real images that int8 or fp16 is fitted to, and judged by where --images names no others; the masks of a data set"
        " are used.", PATH, metavar="DIR",
    )  # fmt: skip
    reduce_range: bool | None = option(
        None, "Weights of int8 in 7 bits, for processors without VNNI or dot product. [default: as this processor needs]",
        flag="--reduce-range/--no-reduce-range", show_default=False,
    )  # fmt: skip
    optimize: bool = option(
        False, "Rewrite the graph into operators that ONNX Runtime computes faster on CPU; int8 always is."
    )
    batch: int = option(
        1, "Windows that the file takes in one call, always N, for providers that gain from it; images of fewer pay for N.",
        click.IntRange(1), metavar="N",
    )  # fmt: skip
    tune: bool = option(False, "Rewrite it by what is fastest on this very machine: a minute of measuring.")
    steps: tuple[str, ...] = option(
        (), "A further step, which an installed package offers; its outcome is proven against the file before it.",
        flag="--step", multiple=True, metavar="NAME",
    )  # fmt: skip

    @property
    def image_dtype(self) -> str:
        """Of the images that a host-ready file takes."""
        return self.host_dtype or "uint8"


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done and how many in all."""


@dataclass(frozen=True)
class Watching:
    """Who is told what an export does; nobody by default.

    Attributes:
        progress: see `Progress`.
        report: called with figures for a person and the contract that holds them: of the proof against torch and of the
            host-ready form, before they are judged, and of any other step that fails.
        note: called with a sentence about an option that does nothing.
    """

    progress: Progress = lambda what, done, total: None
    report: Callable[[str, Contract], None] = lambda figures, contract: None
    note: Callable[[str], None] = lambda text: None
