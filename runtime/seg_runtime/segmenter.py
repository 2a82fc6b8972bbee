"""The one place where the four steps meet: preprocess, session, postprocess, labels."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .answers import answer_of
from .engine import AUTO, Ensemble, Model, RunOptions, Session, Tuning
from .formats import FORMATS, Page, Place, from_array, from_pil, read_bytes
from .model import MAX_PIXELS, Contract, ModelFile
from .pipeline import VIEWS, Array, Float, averaged, check_turnable, fitted, segment, slice_by_slice
from .pipeline import Infer as Infer
from .pipeline import Progress as Progress
from .pipeline import Timings as Timings
from .support import ImageError, ModelError, SegError


@dataclass
class Segmentation:
    """What a model says about one image.

    Attributes:
        answer: the labels, or of a regression the values, whichever the model's answer gives.
        record: what a machine reads about how they came about.
        image: `(*spatial, C)` the image as decoded.
        contract: of the model.
        place: where its pixels lie in the world; `place.stored` brings an answer to the order of the file.
    """

    answer: Array
    record: dict[str, Any]
    image: Array
    contract: Contract
    place: Place
    _again: Callable[[Array], Float] = field(repr=False)
    """Probabilities of a fitted image."""
    _probabilities: Float | None = field(default=None, repr=False)

    @property
    def labels(self) -> NDArray[np.uint8]:
        """`(H, W)` class indices at the image's own size; of a volume `(D, H, W)`.

        Raises:
            SegError: the model answers no labels.
        """
        return self._of("labels")

    @property
    def values(self) -> Float:
        """`(K, H, W)` of a regression, in the units of its training targets; of a volume `(K, D, H, W)`.

        Raises:
            SegError: the model answers no values.
        """
        return self._of("values")

    def _of(self, data: str) -> Array:
        gives = answer_of(self.contract).data
        if gives != data:
            raise SegError(f"{data} of a model that answers {gives}", f"a model that answers {data}", f"take .{gives}")
        return self.answer

    @property
    def probabilities(self) -> Float:
        """`(K, *spatial)` float32, 0..1. Runs the network again unless they were asked for at once.

        Raises:
            SegError: the model's answer has none.
        """
        if self._probabilities is None:
            _check_probabilities(self.contract)
            self._probabilities = self._again(fitted(self.image, self.contract))
        return self._probabilities


def _check_probabilities(contract: Contract) -> None:
    """Refuse to ask a model for probabilities that has none.

    Raises:
        SegError: says what it has.
    """
    if contract.answer.activation == "none":
        problem = f"probabilities of a model that answers {answer_of(contract).data}"
        raise SegError(problem, "a model of classes", "leave them out")


class Segmenter:
    """A model ready to segment images. Thread-safe; a context manager that frees the model at its end.

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
        require_signature: str | Path | None = None,
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
    ) -> None:
        """Load a model made by seg-export.

        Several files of one model, for windows of different sizes, are opened when an image needs them; each image goes
        to the one that costs it least, and its record names that one.

        Args:
            model: path of an ONNX file, its content, a file that is being read, or several of these.
            provider: see `RunOptions`, as for all that follow.
            threads: of the operators on CPU.
            fast_math: allow TF32 on CUDA.
            tta: answer every window by the mean over it turned and mirrored in all eight ways.
            self_test: let the device answer a file's golden samples first; `test_report` holds the figures.
            require_signature: PEM file of the public key that must have signed the model.
            tuning: of speed and memory.

        Raises:
            SegError: one of its children, those of `Session` among them.
            SelfTestError: the device answers otherwise than torch did at export.
            ModelError: `tta` with a model that cannot be turned.
        """
        key = None if require_signature is None else Path(require_signature)
        self.options = RunOptions(
            provider=provider, threads=threads, fast_math=fast_math, tta=tta, self_test=self_test, require_signature=key,
            tuning=tuning,
        )  # fmt: skip
        self._lock = threading.Lock()
        self.test_report: dict[str, Any] | None = None
        models = [model] if isinstance(model, (str, Path, bytes, ModelFile)) else list(model)
        self._files: Ensemble | None = Ensemble(models, self.options, self._test)
        session = self.session
        self.contract, self.provider, self.model_sha256 = session.contract, session.provider.name, session.sha256
        self.model_sha256s = frozenset(member.sha256 for member in self._files.members)
        if tta:
            for member in self._files.members:
                check_turnable(member.contract)

    def _test(self, session: Session) -> None:
        if self.options.self_test:
            from .checks import run_self_test

            report = run_self_test(session)
            self.test_report = self.test_report or report

    def __enter__(self) -> Segmenter:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model."""
        self.close()

    def close(self) -> None:
        """Free the model once the images under way are done; later ones raise SegError.

        A Segmentation whose probabilities may still be asked for keeps the model in memory, too.
        """
        with self._lock:
            self._files = None

    @property
    def session(self) -> Session:
        """The loaded model; of several files the first.

        Raises:
            SegError: after `close`.
        """
        session = self._opened().members[0].session
        assert session is not None  # the first file is opened at once
        return session

    def _opened(self) -> Ensemble:
        with self._lock:
            if self._files is None:
                raise SegError("this Segmenter is closed", "", "make a new one, or segment inside its with block")
            return self._files

    def warm_up(self) -> None:
        """Run one window of zeros, so that the first image does not pay for allocations and kernel choice.

        Of several files each is run, and measured for the choice among them. The next record tells the time as `warm_up`.
        """
        self._opened().warm_up()

    def __call__(
        self,
        image: str | Path | Image.Image | NDArray[Any],
        *,
        probabilities: bool = False,
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: path of a PNG, JPEG, BMP, one-page TIFF, DICOM image, NIfTI volume or structure, a PIL image, or an array
                `(H, W)` or `(H, W, C)` of uint8, uint16 or floats. A model of volumes takes a NIfTI volume, a TIFF of
                several pages, or an array `(D, H, W)` or `(D, H, W, C)`. The labels of a NIfTI volume lie as the network
                saw it; `result.place.stored(result.labels)` brings them to the order of the file. Those of a PDB or mmCIF
                file, for a model of structures, lie on the grid that `result.place` tells.
            probabilities: keep them from this run (4 bytes per class and px); else they are made when asked for.
            max_pixels: refuse a file with more px.
            progress: called with windows done and windows in all.

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
                raise ImageError(f"{image} has several pages", "one", "use Segmenter.pages for a stack")
            timings.add("decode", start)
        elif isinstance(image, Image.Image):
            page = Page(from_pil(image), "image")
        else:
            page = Page(from_array(image, axes=self.contract.geometry.axes), "image")
        return self.segment_page(page, sha256, probabilities=probabilities, progress=progress, timings=timings)

    def pages(
        self, path: str | Path, *, probabilities: bool = False, max_pixels: int = MAX_PIXELS
    ) -> Iterator[Segmentation]:
        """Segment the pages of an image file one after the other; arguments and errors are those of a call."""
        data = read_bytes(Path(path))
        sha256 = hashlib.sha256(data).hexdigest()
        for page in FORMATS.pages(data, str(path), self.contract, max_pixels):
            yield self.segment_page(page, sha256, probabilities=probabilities)

    def segment_page(
        self,
        page: Page,
        sha256: str | None = None,
        *,
        probabilities: bool = False,
        progress: Progress | None = None,
        timings: Timings | None = None,
    ) -> Segmentation:
        """Segment one page, see `formats.Page`; a model of slices answers a volume slice by slice.

        Args:
            page: an array, what errors and the record call it, and its place.
            sha256: of the file's content; None takes that of the page.
            probabilities: as in a call.
            progress: as in a call.
            timings: of stages that are done.
        """
        timings = timings or Timings()
        files = self._opened()
        image = fitted(page.array, self.contract, page.name)
        axes = self.contract.geometry.axes
        shape, slices = image.shape[-1 - axes : -1], len(image) if image.ndim - 1 > axes else 1
        session = files.session_for(shape)
        contract = session.contract
        timings.ms |= session.take_ms()
        way = partial(_answered, session, name=page.name, tta=self.options.tta)
        found, scores = way(image, probabilities, timings, progress)
        files.measured(session, shape, timings.ms["inference"] / slices / (VIEWS if self.options.tta else 1))
        source = sha256 or hashlib.sha256(np.ascontiguousarray(page.array).data).hexdigest()
        record = _record(session, page, source, answer_of(contract).record(found), timings.ms)

        def again(fitted_image: Array) -> Float:
            later = way(fitted_image, True, Timings(), None)[1]
            assert later is not None  # they were asked for
            return later

        return Segmentation(found, record, page.array, contract, page.place, again, scores)


def _record(
    session: Session, page: Page, sha256: str, facts: Mapping[str, Any], ms: Mapping[str, float]
) -> dict[str, Any]:
    """What a machine reads about a result: which model, which input, which provider, what came out, how long it took.

    Args:
        session: the model that answered.
        page: the image.
        sha256: of the file's content, or of the array's bytes where there was no file.
        facts: about its answer, see `Answer.record`.
        ms: milliseconds per stage; `load` and `warm_up` are in the first record after they happened.
    """
    *depth, height, width, channels = page.array.shape
    contract, provider, common = session.contract, session.provider, session.facts()
    return {
        "input": {
            "name": Path(page.name).name,
            "sha256": sha256,
            **({"depth": depth[0]} if depth else {}),
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": str(page.array.dtype),
        },
        "model": {
            **common["model"],
            "geometry": contract.geometry.method,
            "window": list(contract.geometry.input_shape),
            "batch": contract.file.batch,
            "intensity": contract.input.intensity.method,
            "tta": session.options.tta,
        },
        "provider": {
            **common["provider"],
            **({"cuda_graph": session.cuda_graph} if "cuda_graph" in provider.takes else {}),
            **({} if provider.universal else {"nodes": session.placement}),
        },
        "versions": common["versions"],
        **facts,
        "ms": {stage: round(value, 3) for stage, value in ms.items()},
    }


def _answered(
    session: Session, image: Array, probabilities: bool, timings: Timings, progress: Progress | None, *, name: str,
    tta: bool,
) -> tuple[Array, Float | None]:  # fmt: skip
    """The answer for an image, and probabilities where they were asked for."""
    contract, answer = session.contract, answer_of(session.contract)
    if probabilities:
        _check_probabilities(contract)
    if not contract.file.whole_images:
        infer = averaged(session.run, contract) if tta else session.run
        return segment(image, contract, infer, answer, timings, progress, probabilities)
    if image.dtype != contract.file.dtype:
        fix = f"convert the image, or export the model with --host-ready --host-dtype {image.dtype}"
        raise ImageError(f"{name} has dtype {image.dtype}", f"{contract.file.dtype} as the model was exported", fix)
    if probabilities and not session.has_probabilities:
        fix = "export it with --host-ready --host-probabilities"
        raise ModelError("this host-ready model gives labels only", "one with probabilities", fix)

    def one(plane: Array, watch: Progress | None) -> list[Array]:
        start = time.perf_counter()
        found = session.run_image(plane, probabilities)
        timings.add("inference", start)
        if watch:
            watch(1, 1)
        return found

    found, *scores = slice_by_slice(image, contract.geometry.axes, one, progress)
    return answer.whole(found), scores[0] if scores else None
