"""The command line of seg-run: its options, and what is to be done with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from ..engine import AUTO, PROVIDERS, Tuning
from ..model import MAX_PIXELS
from .options import PATH, Options, option

IMAGES, SELF_TEST, TUNE, DOCTOR = MODES = ("IMAGES", "--self-test", "--tune", "--doctor")


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
class Arguments(Options):
    """What somebody wrote after `seg-run`.

    Attributes:
        images: files and folders.
        written: names of the options that were written, such as `--overlay`; the others have their defaults.
    """

    images: tuple[Path, ...] = ()
    written: frozenset[str] = frozenset()

    models: tuple[Path, ...] = option(
        (), "ONNX file of seg-export [default: $SEG_MODEL, else ./model.onnx]. Several files of one model, exported with"
        " different --input-size or --batch, may be given: each image goes to the one that costs it least.",
        PATH, flag="--model", multiple=True, show_default=False,
    )  # fmt: skip
    provider: str = option(
        AUTO, "What is named is what is used, or exit code 3; auto takes CUDA when it loads, else CPU.", _ProviderName()
    )
    out: Path | None = option(
        None, "Folder for the results [default: .]; of --tune the file or its folder [default: the model's].",
        PATH, show_default=False,
    )  # fmt: skip
    recursive: bool = option(False, "Look into folders of folders.")
    overlay: bool = option(
        False, "Also write NAME_overlay.png: the image with its labels and a legend, of a regression its values in grey with"
        " their scale.",
    )  # fmt: skip
    probabilities: str | None = option(
        None, "Also write the probability of each class, float32; map is that of a site in a structure.",
        click.Choice(["npy", "tiff", "map"]),
    )  # fmt: skip
    dicom_seg: str | None = option(
        None, "Form of the answer to DICOM images. [default: binary]", click.Choice(["binary", "labelmap"])
    )
    overwrite: bool = option(False, "Segment again what has results already; replace a tuned file.")
    jobs: int = option(2, "Threads that decode and encode beside the inference.", click.IntRange(1, 64))
    threads: int | None = option(
        None, "Threads of the inference [default: all that this process may use].", click.IntRange(1)
    )
    max_pixels: int = option(MAX_PIXELS, "Refuse larger files, all pages counted.", click.IntRange(1))
    cache: Path | None = option(
        None, "Keep optimised models there for a sooner start on CPU, each as large as its file [default: $SEG_CACHE, else none].",
        PATH, envvar="SEG_CACHE", metavar="DIR",
    )  # fmt: skip
    tta: bool = option(
        False, "Answer every window by the mean over it turned and mirrored in all eight ways, at eight times the cost."
    )
    warm_up: bool = option(
        False, "Run a window of zeros first, timed apart; of several models each, to choose by measured times."
    )
    shrink_memory: bool = option(False, "Give memory back after every window, for a machine that others use, too.")
    cuda_graph: bool = option(False, "Record a window's kernels once and replay them on CUDA.")
    prefer_nhwc: bool = option(False, "Convolutions with the channels last on CUDA.")
    fast_math: bool = option(False, "Allow TF32 on CUDA: faster, errors near 1e-3.")
    require_signature: Path | None = option(
        None, "Refuse a model that MODEL.sig beside it does not sign with this key (PEM).", PATH, metavar="KEY.pub"
    )
    self_test: bool = option(False, "Compare this device with torch on the model's golden samples, and end.")
    tune: bool = option(
        False, "Measure which form of each layer is fastest on this machine's processors, and write the model in these:"
        " seg-run --tune MODEL.onnx writes MODEL.tuned.onnx. Takes a minute or two, and the extra 'tune'.",
    )  # fmt: skip
    doctor: bool = option(False, "Tell what this machine has and what is wrong with it, without a model, and end.")

    @property
    def modes(self) -> list[str]:
        """What is to be done; IMAGES beside --tune are the model."""
        asked = (bool(self.images) and not self.tune, self.self_test, self.tune, self.doctor)
        return [mode for mode, wanted in zip(MODES, asked, strict=True) if wanted]

    @property
    def tuning(self) -> Tuning:
        """Options of speed and memory. The process is ours alone, and so is its arena."""
        return Tuning(
            cache=self.cache, shrink_memory=self.shrink_memory, process_arena=True, cuda_graph=self.cuda_graph,
            prefer_nhwc=self.prefer_nhwc,
        )  # fmt: skip
