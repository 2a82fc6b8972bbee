"""Options of an export, and callbacks for its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from seg_runtime.cli.options import PATH, Options, Sides, option
from seg_runtime.model import HOST_DTYPES, PRECISIONS, Contract

_proof = partial(option, group="Proof")
_form = partial(option, group="Form of the file")
_speed = partial(option, group="Precision and speed")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Options):
    """Options of `seg-export`. `rules` defines which of them fit together."""

    images: Path | None = _proof(
        None, "Prove parity on these real images [default: generated ones]. DIR, here and below, is a data set in the layout that"
        " the model was trained on, or a folder of images, or one with a subfolder named images.",
        PATH, metavar="DIR", common=True,
    )  # fmt: skip
    precision: str = _speed(
        "fp32", "Compute in int8 (CPU) or fp16 (CUDA). The file is written only if its masks agree with those of fp32 on real"
        " images.", click.Choice(PRECISIONS), common=True,
    )  # fmt: skip
    calibration: Path | None = _speed(
        None, "Real images that int8 or fp16 is fitted to. They also judge it, unless --images names others; if they are a data"
        " set, its masks are used.", PATH, metavar="DIR", common=True,
    )  # fmt: skip
    optimize: bool = _speed(
        False,
        "Rewrite the graph into operators that ONNX Runtime computes faster on CPU. int8 files always are.",
        common=True,
    )
    tune: bool = _speed(
        False, "Like --optimize, with the forms that are fastest on this machine. It measures them for some minutes.",
        common=True,
    )  # fmt: skip
    golden: Path | None = _proof(
        None, "Also keep crops of these real images in the file, for seg-edge self-test. Anyone who has the file can then see"
        " these pixels. Generated images are always kept.", PATH, metavar="DIR", common=True,
    )  # fmt: skip
    host_ready: bool = _form(
        False, "Put the whole pipeline into the graph, for programs in any language: it takes an image of any size and returns"
        " labels.", common=True,
    )  # fmt: skip
    input_size: int | str | None = _form(
        None, "Side of the window: 16k + 60 at depth 4 for a whole number k, such as 188, 316 or 572; or one side for each axis"
        " with commas [default: the checkpoint's].", Sides(), metavar="PX", common=True,
    )  # fmt: skip
    reduce_range: bool | None = _speed(
        None, "Store int8 weights in 7 bits, for processors without VNNI or dot products [default: if this processor needs it].",
        flag="--reduce-range/--no-reduce-range", show_default=False,
    )  # fmt: skip
    host_dtype: str | None = _form(
        None, "dtype of the images that a host-ready file takes [default: uint8].", click.Choice(HOST_DTYPES)
    )
    host_probabilities: bool = _form(
        False, "Give a host-ready file a second output, the probabilities of shape (K, H, W)."
    )
    batch: int = _form(
        1, "Windows that the file takes in one call. It always takes N, so small images cost as much as N windows.",
        click.IntRange(1), metavar="N",
    )  # fmt: skip
    name: str | None = option(
        None, "Name of the model, such as liver-ct, for records and --require-model [default: the checkpoint's].",
        metavar="NAME",
    )  # fmt: skip
    model_version: str | None = option(
        None, "Version of the model: numbers with dots, such as 1.2.0 [default: the checkpoint's].", metavar="VERSION",
    )  # fmt: skip
    codes: Path | None = option(
        None, "JSON file with the DICOM codes of each class, by its name.", PATH, metavar="FILE.JSON"
    )
    policy: Path | None = option(
        None, "JSON file with changes of the policy that training learnt: which images seg-run accepts. See contract.md.",
        PATH, metavar="FILE.JSON",
    )  # fmt: skip
    steps: tuple[str, ...] = option(
        (), "A further step, offered by an installed package. The file after it is compared with the file before it.",
        flag="--step", multiple=True, metavar="NAME",
    )  # fmt: skip

    @property
    def image_dtype(self) -> str:
        """dtype of the images that a host-ready file takes."""
        return self.host_dtype or "uint8"


Progress = Callable[[str, int, int], None]
"""Called with the name of the task, the number done and the total."""


@dataclass(frozen=True)
class Watching:
    """Callbacks of an export. By default, they do nothing.

    Attributes:
        progress: see `Progress`.
        report: called with figures for the user and the contract that contains them. This happens for the comparison with
            PyTorch and the host-ready form before they are judged, and for any other step that fails.
        note: called with a message about an option that does nothing.
        say: called with what begins, once all options and folders are checked.
    """

    progress: Progress = lambda what, done, total: None
    report: Callable[[str, Contract], None] = lambda figures, contract: None
    note: Callable[[str], None] = lambda text: None
    say: Callable[[str], None] = lambda text: None
