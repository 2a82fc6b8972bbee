"""The complete pipeline for one image: read, preprocess, run the model, postprocess."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .answers import answer_of
from .engine import AUTO, Ensemble, Model, RunOptions, Session, Tuning
from .formats import FORMATS, Page, from_array, from_pil, read_bytes, without_opaque_alpha
from .model import MAX_PIXELS, Contract, ModelFile, Requirements
from .pipeline import (
    RESAMPLE,
    VIEWS,
    Array,
    Float,
    Scaling,
    averaged,
    check_origin,
    check_turnable,
    fitted,
    foreign,
    segment,
    slice_by_slice,
)
from .pipeline import Infer as Infer
from .pipeline import Progress as Progress
from .pipeline import Timings as Timings
from .record import record_of
from .segmentation import Segmentation as Segmentation
from .support import ImageError, ModelError, SegError


def _check_probabilities(contract: Contract) -> None:
    """Raise SegError if a model has no probabilities; the error says what it predicts."""
    if contract.answer.activation == "none":
        data = answer_of(contract).data
        raise SegError(f"this model predicts {data} and has no probabilities", "", f"use the {data}")


class Segmenter:
    """A loaded model that segments images. Thread-safe. As a context manager, it frees the model on exit.

    >>> with Segmenter("model.onnx", provider="cpu") as segmenter:  # doctest: +SKIP
    ...     labels = segmenter("image.png").labels
    """

    def __init__(
        self,
        model: Model | Sequence[Model],
        *,
        provider: str = AUTO,
        threads: int | None = None,
        fast_math: bool = False,
        tta: bool = False,
        self_test: bool = False,
        require: Requirements = Requirements(),  # noqa: B008 - frozen
        accept_foreign: bool = False,
        resample: str = "auto",
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
    ) -> None:
        """Load a model made by seg-export.

        You can pass several files of one model with different window sizes. A file is opened when an image needs it.
        Each image runs on the file with the lowest cost, which its record names.

        Args:
            model: path of an ONNX file, its content, a `ModelFile`, or a sequence of these.
            provider: execution provider; see `RunOptions` for this and the following arguments.
            threads: number of threads of the CPU operators.
            fast_math: allow TF32 on CUDA.
            tta: average the predictions for all eight rotations and reflections of each window.
            self_test: run the golden samples of each file first; the figures are in `test_report`.
            require: what each file must be: signed with the private key that matches a public one, a model of a certain
                name and version, or one of known files.
            accept_foreign: segment images that the model was not made for, see `model.Policy`; the record says so.
            resample: when to resample an image to the pixel size of the training images: `auto`, if they differ by more
                than a quarter, `never` or `always`. The result has the size of the image.
            tuning: settings for speed and memory.

        Raises:
            SegError: one of its subclasses, including those raised by `Session`.
            SelfTestError: the device does not reproduce the results of torch at export.
            ModelError: `tta` is set for a model that does not support it.
        """
        self.options = RunOptions(
            provider=provider, threads=threads, fast_math=fast_math, tta=tta, self_test=self_test, require=require,
            tuning=tuning,
        )  # fmt: skip
        self.accept_foreign, self.resample = accept_foreign, resample
        if resample not in RESAMPLE:
            raise SegError(f"resample is {resample!r}", " or ".join(RESAMPLE), "choose one of them")
        self._lock = threading.Lock()
        self.test_report: dict[str, Any] | None = None
        models = [model] if isinstance(model, (str, Path, bytes, ModelFile)) else list(model)
        self._files: Ensemble | None = Ensemble(models, self.options, self._test)
        session = self.session
        self.contract, self.provider, self.model_sha256 = session.contract, session.provider.name, session.sha256
        self.model_sha256s = frozenset(member.sha256 for member in self._files.members)
        answer_of(self.contract)  # raises an error if a package is missing, not only with the first image
        if tta:
            for member in self._files.members:
                check_turnable(member.contract)

    def _test(self, session: Session) -> None:
        if self.options.self_test:
            from .checks import run_self_test

            report = run_self_test(session)
            self.test_report = self.test_report or report

    def __enter__(self) -> Segmenter:
        """Return the Segmenter."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model."""
        self.close()

    def close(self) -> None:
        """Free the model when the images in progress are done. Later calls raise SegError.

        A Segmentation also keeps the model in memory, since it may still have to compute probabilities.
        """
        with self._lock:
            self._files = None

    @property
    def session(self) -> Session:
        """The session of the loaded model, or of the first one if there are several files.

        Raises:
            SegError: after `close`.
        """
        session = self._opened().members[0].session
        assert session is not None  # the first file is opened in the constructor
        return session

    @property
    def has_probabilities(self) -> bool:
        """Whether results have probabilities: not for values and objects, nor for some host-ready files."""
        contract = self.contract
        given = not contract.file.whole_images or self.session.has_probabilities
        return contract.answer.activation != "none" and given

    def _opened(self) -> Ensemble:
        with self._lock:
            if self._files is None:
                raise SegError("this Segmenter is closed", "", "create a new one, or segment inside its with block")
            return self._files

    def warm_up(self) -> None:
        """Run one window of zeros, so that the first image is not slowed down by allocations and kernel selection.

        With several files, each one is run and timed to choose among them. The next record holds the time as `warm_up`.
        """
        self._opened().warm_up()

    def __call__(
        self,
        image: str | Path | Image.Image | NDArray[Any],
        *,
        probabilities: bool = False,
        max_pixels: int = MAX_PIXELS,
        spacing_mm: tuple[float, ...] = (),
        progress: Progress | None = None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: path of a PNG, JPEG, BMP, one-page TIFF, DICOM image, NIfTI volume or structure, a PIL image, or an
                array `(H, W)` or `(H, W, C)` of uint8, uint16, floats, or other numbers that fit these. Arrays are
                copied. A volume model takes a NIfTI volume, a TIFF with several pages, or an array `(D, H, W)` or
                `(D, H, W, C)`. The labels of a NIfTI volume have the axis order that the network sees;
                `result.place.stored(result.labels)` converts them to the order of the file. The labels of a PDB or mmCIF
                file, for a structure model, lie on the grid described by `result.place`.
            probabilities: keep the probabilities of this run (4 bytes per class and px); otherwise they are computed on
                first access.
            max_pixels: refuse a file with more px, and an image with more px at the pixel size of the training images.
            spacing_mm: sides of a pixel in mm, along each spatial axis; empty takes what the file states.
            progress: called with the number of windows done and their total.

        Raises:
            ImageError: the image cannot be read or does not fit the model.
        """
        timings = Timings()
        sha256: str | None = None
        if isinstance(image, (str, Path)):
            start = time.perf_counter()
            data = read_bytes(Path(image))
            sha256 = hashlib.sha256(data).hexdigest()
            pages = FORMATS.pages(data, str(image), self.contract, max_pixels)
            page = next(pages)
            if next(pages, None) is not None:
                raise ImageError(f"{image} has several pages", "one page", "use Segmenter.pages for a stack")
            timings.add("decode", start)
        elif isinstance(image, Image.Image):
            page = Page(from_pil(image), "image")
        else:
            wanted = self.contract.input
            whole = wanted.pixels == "integer" and wanted.intensity.method != "window" and not self.accept_foreign
            array = from_array(image, axes=self.contract.geometry.axes, whole=whole)
            if array.ndim == 3 and array.shape[-1] in (2, 4) and self.contract.input.channels in (1, 3):
                array = without_opaque_alpha(array)  # arrays of other libraries do not declare what the last channel is
            if np.may_share_memory(array, image):  # the caller may change it before the probabilities are computed
                array = array.copy()
            page = Page(array, "image")
        page = page.with_spacing(spacing_mm)
        return self.segment_page(
            page, sha256, probabilities=probabilities, max_pixels=max_pixels, progress=progress, timings=timings
        )

    def pages(
        self, path: str | Path, *, probabilities: bool = False, max_pixels: int = MAX_PIXELS,
        spacing_mm: tuple[float, ...] = (),
    ) -> Iterator[Segmentation]:  # fmt: skip
        """Segment the pages of an image file one by one. Arguments and errors are those of `__call__`."""
        data = read_bytes(Path(path))
        sha256 = hashlib.sha256(data).hexdigest()
        for page in FORMATS.pages(data, str(path), self.contract, max_pixels):
            yield self.segment_page(
                page.with_spacing(spacing_mm), sha256, probabilities=probabilities, max_pixels=max_pixels
            )

    def segment_page(
        self,
        page: Page,
        sha256: str | None = None,
        *,
        probabilities: bool = False,
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
        timings: Timings | None = None,
    ) -> Segmentation:
        """Segment one page, see `formats.Page`. A 2-D model processes a volume slice by slice.

        Args:
            page: the array, its name and its place.
            sha256: digest of the file's content; None uses that of the array.
            probabilities: as in `__call__`.
            max_pixels: refuse an image that has more px at the pixel size of the training images.
            progress: as in `__call__`.
            timings: times of stages that are already done.
        """
        timings = timings or Timings()
        files = self._opened()
        scaling = Scaling.of(page.array.shape[:-1], page.acquisition, self.contract.policy, self.resample)
        found_foreign, warnings = check_origin(
            page.array, page.acquisition, self.contract, page.name, self.accept_foreign, scaling
        )
        image = fitted(page.array, self.contract, page.name, any_kind=self.accept_foreign)
        scaling.check_size(image, page.name, max_pixels)
        axes = self.contract.geometry.axes
        shape, slices = scaling.scaled[-axes:], len(image) if image.ndim - 1 > axes else 1
        session = files.session_for(shape)
        contract = session.contract
        timings.ms |= session.take_ms()
        way = partial(_predict, session, scaling, name=page.name, tta=self.options.tta)
        found, scores = way(image, probabilities, timings, progress)
        files.measured(session, shape, timings.ms["inference"] / slices / (VIEWS if self.options.tta else 1))
        source = sha256 or hashlib.sha256(np.ascontiguousarray(page.array).data).hexdigest()
        record = record_of(session, page, source, answer_of(contract).record(found), timings.ms)
        record["model"]["resample"] = self.resample
        if scaling:
            record["input"]["resampled"] = {"shape": list(scaling.scaled), "spacing_mm": list(scaling.spacing_mm)}
        record["foreign"], record["warnings"] = found_foreign, [*warnings, *foreign(image, contract, page.name)]

        def again(fitted_image: Array) -> Float:
            later = way(fitted_image, True, Timings(), None)[1]
            assert later is not None  # they were requested
            return later

        return Segmentation(
            found, record, page.array, contract, page.place, again, scores, has_probabilities=self.has_probabilities
        )


def _predict(
    session: Session, scaling: Scaling, image: Array, probabilities: bool, timings: Timings, progress: Progress | None, *, name: str,
    tta: bool,
) -> tuple[Array, Float | None]:  # fmt: skip
    """Return the result for an image, and the probabilities if requested, both on the grid of the image."""
    start = time.perf_counter()
    image = scaling.there(image)
    timings.add("preprocess", start)
    found, scores = _at_scale(session, image, probabilities, timings, progress, name=name, tta=tta)
    return answer_of(session.contract).unscaled(found, scaling), None if scores is None else scaling.back(scores)


def _at_scale(
    session: Session, image: Array, probabilities: bool, timings: Timings, progress: Progress | None, *, name: str,
    tta: bool,
) -> tuple[Array, Float | None]:  # fmt: skip
    """Return the result for an image whose pixels have the size that the model takes."""
    contract, answer = session.contract, answer_of(session.contract)
    if probabilities:
        _check_probabilities(contract)
    if not contract.file.whole_images:
        infer = averaged(session.run, contract) if tta else session.run
        return segment(image, contract, infer, answer, timings, progress, probabilities)
    if image.dtype != contract.file.dtype:
        advice = f"convert the image, or export the model again with --host-ready --host-dtype {image.dtype}"
        raise ImageError(f"{name} has dtype {image.dtype}", f"{contract.file.dtype}, as set at export", advice)
    if probabilities and not session.has_probabilities:
        advice = "export the model again with --host-ready --host-probabilities"
        raise ModelError("this host-ready model has no probability output", "", advice)

    def one(plane: Array, watch: Progress | None) -> list[Array]:
        start = time.perf_counter()
        found = session.run_image(plane, probabilities, watch)
        timings.add("inference", start)
        return found

    found, *scores = slice_by_slice(image, contract.geometry.axes, one, progress)
    start = time.perf_counter()
    found = answer.whole(found)
    timings.add("postprocess", start)
    return found, scores[0] if scores else None
