"""The options of the commands that run a model."""

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
from ..support import OptionsError
from .options import PATH, Options, PixelSize, RequirementOptions, option, threads_option

if TYPE_CHECKING:
    from ..segmenter import Segmenter

_model = partial(option, group="Model and device")
_output = partial(option, group="Input and output")
_speed = partial(option, group="Speed and memory")


class _ProviderName(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """The name of a provider. Other packages are searched only for a name that is not built in, and for the help
    text."""

    name = "provider"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join([AUTO, *PROVIDERS.names()])}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != AUTO and value not in PROVIDERS:
            self.fail(f"{value!r} is not one of {', '.join([AUTO, *PROVIDERS.names()])}.", param, ctx)
        return value


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(Options):
    """The options that choose where a model runs."""

    provider: str = _model(
        AUTO, "Execution provider. If the provider you name is not available, the command fails with exit code 3;"
        " auto uses CUDA if it loads, otherwise the CPU.", _ProviderName(), common=True,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RequirementOptions, DeviceOptions):
    """The options that choose the model and how it runs.

    Attributes:
        written: names of the options that are set on the command line, such as `--cache`.
    """

    written: frozenset[str] = frozenset()

    models: tuple[Path, ...] = _model(
        (), "ONNX file made by seg-export [default: $SEG_MODEL, else ./model.onnx]. You can pass several files exported"
        " from one checkpoint with different --input-size or --batch: each image runs on the fastest one for its size.",
        PATH, common=True, flag="--model", multiple=True, show_default=False,
    )  # fmt: skip
    threads: int | None = threads_option()
    cache: Path | None = _speed(
        None, "Cache optimized models in this folder to speed up the next start on the CPU. Each is as large as its model"
        " file [default: $SEG_CACHE, else no cache].", PATH, envvar="SEG_CACHE", metavar="DIR",
    )  # fmt: skip
    shrink_memory: bool = _speed(False, "Free memory after every window, for machines shared with other programs.")
    cuda_graph: bool = _speed(False, "CUDA: record the kernels of one window as a CUDA graph and replay it.")
    prefer_nhwc: bool = _speed(False, "CUDA: run convolutions in channels-last (NHWC) layout.")
    fast_math: bool = _speed(False, "CUDA: allow TF32, which is faster but has errors of about 1e-3.")

    @property
    def files(self) -> tuple[Path, ...]:
        """The model files."""
        return self.models or (Path(os.environ.get("SEG_MODEL") or "model.onnx"),)

    def open(
        self,
        models: Path | Sequence[Path | ModelFile],
        *,
        tta: bool = False,
        self_test: bool = False,
        accept_foreign: bool = False,
        resample: str = "auto",
    ) -> Segmenter:
        """Open the model. It may use the memory arena of the process, since a command has the process to itself."""
        from ..segmenter import Segmenter  # numpy and Pillow are imported while the model is read

        tuning = Tuning(
            cache=self.cache, shrink_memory=self.shrink_memory, process_arena=True, cuda_graph=self.cuda_graph,
            prefer_nhwc=self.prefer_nhwc,
        )  # fmt: skip
        return Segmenter(
            models, provider=self.provider, threads=self.threads, fast_math=self.fast_math, tta=tta, self_test=self_test,
            require=self.require, tuning=tuning, accept_foreign=accept_foreign, resample=resample,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SelfTestOptions(ModelOptions):
    """The options of `seg-edge self-test`."""

    models: tuple[Path, ...] = _model(
        (), "ONNX file to test, like MODEL [default: $SEG_MODEL, else ./model.onnx].",
        PATH, common=True, flag="--model", multiple=True, show_default=False,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunOptions(ModelOptions):
    """The options of `seg-run`."""

    out: Path = _output(Path(), "Output folder.", PATH, common=True, flag="-o,--out", metavar="DIR")
    overlay: bool | None = _output(
        None, "Write NAME_overlay.png: the image with its labels and a legend, or the values of a regression in grey"
        " [default: for pictures].", common=True, flag="--overlay/--no-overlay", show_default=False,
    )  # fmt: skip
    palette: bool = _output(
        False, "Write masks as palette pictures with the colours of the classes. Many libraries read the colours of such a"
        " file instead of its class indices.",
    )  # fmt: skip
    probabilities: str | None = _output(
        None, "Also write the probability of each class as float32; map is only for models of molecular structures.",
        click.Choice(["npy", "tiff", "map"]), common=True,
    )  # fmt: skip
    objects: bool = _output(
        False, "Also write NAME_objects.tif, an id for each object. For a model that separates objects, it is always written;"
        " for other models, objects are the connected parts of each class.", common=True,
    )  # fmt: skip
    measure: bool = _output(
        False, "Also write NAME_objects.csv, a row of measures for each object: size, shape, brightness and more, in pixels and,"
        " if their size is known, in µm or mm; and summary.csv, a row for each image.", common=True,
    )  # fmt: skip
    save: tuple[str, ...] = _output(
        (), "Also write the objects for other programs: labels, a TIFF of numbers; geojson for QuPath; roi for ImageJ; coco;"
        " ome-tiff. Repeat it for several.", common=True, multiple=True, metavar="NAME", show_default=False,
    )  # fmt: skip
    smallest_object: int = _output(
        0, "With --objects, --measure, --save or --report: leave out objects of fewer pixels or voxels.", click.IntRange(0),
        metavar="N",
    )  # fmt: skip
    pixel_size: tuple[float, ...] = _output(
        (), "Size of a pixel or voxel, such as 0.325um, or 2x0.5x0.5mm for slices, rows and columns [default: what the files"
        " state].", PixelSize(), metavar="SIZE", show_default=False,
    )  # fmt: skip
    resample: str = _output(
        "auto", "Resample images to the pixel size of the training images: auto, if they differ by more than a quarter,"
        " never or always. Results have the size of the image.", click.Choice(["auto", "never", "always"]),
    )  # fmt: skip
    report: Path | None = _output(
        None, "Write a page for the browser: counts, sizes of objects, failures and a small picture of each result. It"
        " includes --measure, unless the model predicts values.", PATH, metavar="FILE.HTML",
    )  # fmt: skip
    recursive: bool = _output(False, "Also search the subfolders of a folder.", common=True)
    overwrite: bool = _output(False, "Replace existing results instead of skipping these images.", common=True)
    tta: bool = _output(
        False, "Test-time augmentation: average the predictions for all eight rotations and reflections of each window."
        " Takes eight times as long.",
    )  # fmt: skip
    dicom_seg: str | None = _output(
        None,
        "Type of the DICOM SEG that is written for DICOM images [default: binary].",
        click.Choice(["binary", "labelmap"]),
    )
    accept_foreign: bool = _output(
        False, "Segment images that the model was not made for, such as those of another modality. The record and the DICOM"
        " SEG say so.",
    )  # fmt: skip
    allow_missing: bool = _output(
        False, "Segment DICOM series with missing slices, without the files that are damaged or of another patient.",
    )  # fmt: skip
    allow_irregular: bool = _output(
        False, "Segment DICOM series whose slices are not on a regular grid; programs that show volumes misplace the result.",
    )  # fmt: skip
    max_pixels: int = _output(
        MAX_PIXELS, "Refuse files with more pixels than this in all pages together, and images that would have more after"
        " resampling.", click.IntRange(1), metavar="N",
    )  # fmt: skip
    max_memory: float | None = _output(
        None, "Limit the memory of the process to N GB, so that a file that needs more fails alone. Leave room for the"
        " model, about 1 GB.", click.FloatRange(0.1),
    )  # fmt: skip
    isolate: bool = _output(
        False, "Work in child processes, for files or models of unknown origin: an image that crashes or hangs one fails"
        " alone.",
    )  # fmt: skip
    max_seconds: float = _output(
        300.0, "With --isolate: stop a child process that makes no progress for N seconds.", click.FloatRange(1)
    )
    jobs: int = _speed(
        2, "Number of threads that read images and write results during inference.", click.IntRange(1, 64)
    )
    warm_up: bool = _speed(
        False,
        "Run one window of zeros first; with several models, run each one and choose among them by measured time.",
    )

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            OptionsError: the report has another suffix, so that it might replace an image by mistake.
        """
        super().__post_init__()
        if self.report and self.report.suffix.lower() not in (".html", ".htm"):
            raise OptionsError(f"--report is {self.report}", "a file with the suffix .html", "choose such a name")

    @property
    def numbers_objects(self) -> bool:
        """Whether files with objects are written, whatever the model predicts."""
        return bool(self.objects or self.measure or self.save or self.report)

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms of results that are chosen, see `BatchOptions`."""
        return tuple(filter(None, (self.dicom_seg, "palette" if self.palette else "")))
