"""Options of the commands that run a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..engine import AUTO, PROVIDERS, Tuning
from ..model import MAX_PIXELS, ModelFile
from .options import PATH, Options, option

if TYPE_CHECKING:
    from ..segmenter import Segmenter

_model = partial(option, group="Model and device")
_output = partial(option, group="Input and output")
_speed = partial(option, group="Speed and memory")


class _ProviderName(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """A provider's name. Those of other packages are looked up only where one is named, or for the help text."""

    name = "provider"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join([AUTO, *PROVIDERS.names()])}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != AUTO and value not in PROVIDERS:
            self.fail(f"{value!r} is not one of {', '.join([AUTO, *PROVIDERS.names()])}.", param, ctx)
        return value


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Options):
    """Where a model runs."""

    provider: str = _model(
        AUTO, "Execution provider. The one you name is used, or the command ends with exit code 3; auto takes CUDA when it"
        " loads, else the CPU.", _ProviderName(), common=True,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelOptions(DeviceOptions):
    """Which model runs, and how.

    Attributes:
        written: names of the options on the command line, such as `--cache`; the others have their defaults.
    """

    written: frozenset[str] = frozenset()

    models: tuple[Path, ...] = _model(
        (), "ONNX file made by seg-export [default: $SEG_MODEL, else ./model.onnx]. You can name several files of one checkpoint"
        " that differ in --input-size or --batch: each image is given to the fastest one for its size.",
        PATH, common=True, flag="--model", multiple=True, show_default=False,
    )  # fmt: skip
    require_signature: Path | None = _model(
        None,
        "Refuse a model unless MODEL.sig beside it is its signature by this public key (PEM).",
        PATH,
        metavar="KEY.pub",
    )
    threads: int | None = _speed(
        None, "Threads of the inference [default: all that this process may use].", click.IntRange(1)
    )
    cache: Path | None = _speed(
        None, "Keep optimized models in this folder, so that the next start on CPU is faster. Each is as large as its file"
        " [default: $SEG_CACHE, else none].", PATH, envvar="SEG_CACHE", metavar="DIR",
    )  # fmt: skip
    shrink_memory: bool = _speed(False, "Free memory after every window, for a machine that others use too.")
    cuda_graph: bool = _speed(False, "CUDA: record the kernels of a window once and replay them.")
    prefer_nhwc: bool = _speed(False, "CUDA: compute convolutions with the channels last.")
    fast_math: bool = _speed(False, "CUDA: allow TF32, which is faster and has errors near 1e-3.")

    @property
    def files(self) -> tuple[Path, ...]:
        """The model files."""
        return self.models or (Path(os.environ.get("SEG_MODEL") or "model.onnx"),)

    def open(
        self, models: Path | Sequence[Path | ModelFile], *, tta: bool = False, self_test: bool = False
    ) -> Segmenter:
        """The model, ready to run. The process is ours alone, and so is its memory arena."""
        from ..segmenter import Segmenter  # numpy and Pillow are imported while the model is read

        tuning = Tuning(
            cache=self.cache, shrink_memory=self.shrink_memory, process_arena=True, cuda_graph=self.cuda_graph,
            prefer_nhwc=self.prefer_nhwc,
        )  # fmt: skip
        return Segmenter(
            models, provider=self.provider, threads=self.threads, fast_math=self.fast_math, tta=tta, self_test=self_test,
            require_signature=self.require_signature, tuning=tuning,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunOptions(ModelOptions):
    """What `seg-run` takes besides the images."""

    out: Path = _output(Path(), "Folder for the results.", PATH, common=True, flag="-o,--out", metavar="DIR")
    overlay: bool = _output(
        False, "Also write NAME_overlay.png: the image with its labels and a legend; of a regression its values in grey.",
        common=True,
    )  # fmt: skip
    probabilities: str | None = _output(
        None, "Also write the probability of each class as float32; map is for models of structures.",
        click.Choice(["npy", "tiff", "map"]), common=True,
    )  # fmt: skip
    recursive: bool = _output(False, "Also look into the folders of a folder.", common=True)
    overwrite: bool = _output(False, "Replace earlier results instead of skipping images that have them.", common=True)
    tta: bool = _output(
        False, "Test-time augmentation: average each window over all eight turns and mirrorings, which takes eight times as long.",
        common=True,
    )  # fmt: skip
    dicom_seg: str | None = _output(
        None,
        "Form of the DICOM SEG that is written for DICOM images [default: binary].",
        click.Choice(["binary", "labelmap"]),
    )
    max_pixels: int = _output(
        MAX_PIXELS, "Refuse files with more pixels, all pages counted.", click.IntRange(1), metavar="N"
    )
    jobs: int = _speed(2, "Threads that read images and write results during the inference.", click.IntRange(1, 64))
    warm_up: bool = _speed(
        False,
        "Run a window of zeros first; with several models, run each, and choose among them by the measured times.",
    )
