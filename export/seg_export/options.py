"""What a user asks of an export, and who is told what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seg_runtime import Contract


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The options of `seg-export`, by their names there. `rules` says which of them fit together.

    Attributes:
        images: folder of real images to prove parity on; None takes generated ones. A folder, here and below, is a data set
            in the layout that the model was trained on, or a folder of images, in itself or in its subfolder `images`.
        golden: folder of real images of which crops go into the file as golden samples.
        codes: JSON file with what each class is in DICOM's codes.
        input_size: side of the window in px, or one for each axis with commas, another than the checkpoint's.
        precision: what the network computes in: `fp32`, `int8` or `fp16`.
        calibration: folder of real images that int8 or fp16 is fitted to, and judged by where `images` is None; the masks of
            a data set are used.
        reduce_range: weights of int8 in 7 bits; None decides by this machine's processor.
        optimize: rewrite the graph by the default table of forms; int8 always is, by a table of its own.
        tune: rewrite it by what is fastest on this machine.
        batch: windows that the file takes in one call.
        host_ready: put the whole pipeline into the graph.
        host_dtype: of the images that such a file takes; None for uint8.
        host_probabilities: give such a file the output `probabilities`.
        steps: names of further steps, which other packages offer.
    """

    images: Path | None = None
    golden: Path | None = None
    codes: Path | None = None
    input_size: int | str | None = None
    precision: str = "fp32"
    calibration: Path | None = None
    reduce_range: bool | None = None
    optimize: bool = False
    tune: bool = False
    batch: int = 1
    host_ready: bool = False
    host_dtype: str | None = None
    host_probabilities: bool = False
    steps: tuple[str, ...] = ()

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
        report: called with figures for a person, before they are judged, and the contract that holds them.
        note: called with a sentence about an option that does nothing.
    """

    progress: Progress = lambda what, done, total: None
    report: Callable[[str, Contract], None] = lambda figures, contract: None
    note: Callable[[str], None] = lambda text: None
