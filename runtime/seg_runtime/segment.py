"""The one place where the four steps meet: preprocess, session, postprocess, labels."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .contract import Contract
from .errors import ImageError, ModelError, SegError, SelfTestError
from .geometry import frame, unframe
from .image import decode, fitted, from_array, from_pil, read_bytes
from .limits import MAX_PIXELS
from .modelfile import ModelFile
from .postprocess import activate, decide, stitch
from .preprocess import Array, Float, Grid, plan, windows
from .record import make_record, test_report
from .session import Session

Infer = Callable[[Float], Float]
Progress = Callable[[int, int], None]


@dataclass
class Timings:
    """Milliseconds spent per stage on one image."""

    ms: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, start: float) -> float:
        """Book the time since `start` on `stage`; returns now."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - start) * 1000
        return now


def window_logits(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> tuple[Grid, Iterator[Float]]:
    """The answers of a model for one image, window by window: the corridor that training, export and runtime share.

    Args:
        image: `(H, W, C)` with the contract's channels.
        contract: how to cut and normalise.
        infer: `(1, C, *input_shape)` float32 -> `(1, K, *output_shape)` float32.
        timings: receives `preprocess` and `inference`.
        progress: called with windows done and windows in all.

    Returns:
        The Grid, and an iterator over logits `(K, *output_shape)` in the order of its origins.
    """
    times = timings or Timings()
    start = time.perf_counter()
    framed = frame(image, contract)
    grid = plan(framed.shape[:-1], contract)
    total = len(grid.origins())

    def answers(start: float) -> Iterator[Float]:
        for done, window in enumerate(windows(framed, grid, contract.intensity), 1):
            start = times.add("preprocess", start)
            logits = infer(window)[0]
            times.add("inference", start)
            yield logits
            if progress:
                progress(done, total)
            start = time.perf_counter()

    return grid, answers(start)


def segment_labels(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Labels `(H, W)` uint8 of an image `(H, W, C)`; see `window_logits`. Memory for logits: one window."""
    times = timings or Timings()
    grid, answers = window_logits(image, contract, infer, times, progress)

    def pieces() -> Iterator[NDArray[np.uint8]]:
        for logits in answers:
            start = time.perf_counter()
            labels = decide(logits, contract)
            times.add("postprocess", start)
            yield labels

    labels = stitch(pieces(), grid, np.zeros(grid.shape, np.uint8))
    return unframe(labels, image.shape[:-1])


def segment_probabilities(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> tuple[NDArray[np.uint8], Float]:
    """Labels `(H, W)` uint8 and probabilities `(K, H, W)` float32, 0..1, of an image `(H, W, C)`."""
    times = timings or Timings()
    grid, answers = window_logits(image, contract, infer, times, progress)
    logits = stitch(answers, grid, np.zeros((len(contract.classes), *grid.shape), np.float32))
    start = time.perf_counter()
    labels = unframe(decide(logits, contract), image.shape[:-1])
    probabilities = unframe(activate(logits, contract), image.shape[:-1])
    times.add("postprocess", start)
    return labels, probabilities


@dataclass
class Segmentation:
    """What a model says about one image.

    Attributes:
        labels: `(H, W)` uint8 class indices at the image's own size.
        record: what a machine reads about how they came about; see `record.py`.
        image: `(H, W, C)` the image as decoded.
        contract: of the model.
    """

    labels: NDArray[np.uint8]
    record: dict[str, Any]
    image: Array
    contract: Contract
    _answer: Callable[[Array], Float] = field(repr=False)
    """Probabilities of a fitted image."""
    _probabilities: Float | None = field(default=None, repr=False)

    @property
    def probabilities(self) -> Float:
        """`(K, H, W)` float32, 0..1. Runs the network again unless they were asked for at once."""
        if self._probabilities is None:
            self._probabilities = self._answer(fitted(self.image, self.contract))
        return self._probabilities


class Segmenter:
    """A model ready to segment images. Thread-safe; a context manager that frees the model at its end.

    >>> with Segmenter("model.onnx", provider="cpu") as segmenter:  # doctest: +SKIP
    ...     labels = segmenter("image.png").labels
    """

    def __init__(
        self,
        model: str | Path | bytes | ModelFile,
        provider: str = "auto",
        threads: int | None = None,
        fast_math: bool = False,
        self_test: bool = False,
        require_signature: str | Path | None = None,
    ) -> None:
        """Load a model made by seg-export; arguments and errors are those of `Session`.

        With `self_test` the device first answers the file's golden samples; `test_report` says how.

        Raises:
            SelfTestError: it answers otherwise than torch did at export.
        """
        self._session: Session | None = Session(model, provider, threads, fast_math, self_test, require_signature)
        self.contract = self._session.contract
        self.provider = self._session.provider
        self.model_sha256 = self._session.sha256
        self._lock = threading.Lock()
        self.test_report: dict[str, Any] | None = self._test(self._session) if self_test else None

    def _test(self, session: Session) -> dict[str, Any]:
        """The report of the self-test; raises SelfTestError when it fails."""
        from .selftest import self_test

        assert session.golden is not None
        result = self_test(session.golden, self.contract, self._golden_answer)
        session.golden = None  # a megabyte that has done its work
        report = test_report(session, result.as_dict())
        if found := result.failures():
            came = f"{session.provider} does not answer the golden samples as torch did ({'; '.join(found)})"
            fix = "leave out TF32, update the driver, or use --provider cpu"
            raise SelfTestError(came, "the answers stored at export", fix, report)
        return report

    def _golden_answer(self, image: Array) -> tuple[NDArray[np.uint8], Float]:
        """Labels by the way that every image takes, and the logits of its one window, or the file's probe of them."""
        session = self.session
        if self.contract.form != "window":
            return session.run_probe(fitted(image, self.contract))
        seen: list[Float] = []

        def watched(window: Float) -> Float:
            seen.append(session.run(window)[0])
            return seen[-1][None]

        labels = segment_labels(fitted(image, self.contract), self.contract, watched)
        return labels, seen[0]

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
            self._session = None

    @property
    def session(self) -> Session:
        """The loaded model.

        Raises:
            SegError: after `close`.
        """
        with self._lock:
            if self._session is None:
                raise SegError("this Segmenter is closed", "", "make a new one, or segment inside its with block")
            return self._session

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
            image: path of a PNG, JPEG, BMP or one-page TIFF, a PIL image, or an array `(H, W)` or `(H, W, C)` of
                uint8, uint16 or floats.
            probabilities: keep them from this run (4 bytes per class and px); else they are made when asked for.
            max_pixels: refuse a file with more px.
            progress: called with windows done and windows in all.

        Raises:
            ImageError: the image cannot be read or does not fit the model.
        """
        timings = Timings()
        data: bytes | None = None
        name = "image"
        if isinstance(image, (str, Path)):
            name, start = str(image), time.perf_counter()
            data = read_bytes(Path(image))
            pages = decode(data, name, max_pixels)
            array = next(pages)
            if next(pages, None) is not None:
                raise ImageError(f"{name} has several pages", "one", "use Segmenter.pages for a stack")
            timings.add("decode", start)
        else:
            array = from_pil(image) if isinstance(image, Image.Image) else from_array(image)
        return self.segment_page(array, name, data, probabilities=probabilities, progress=progress, timings=timings)

    def pages(
        self, path: str | Path, *, probabilities: bool = False, max_pixels: int = MAX_PIXELS
    ) -> Iterator[Segmentation]:
        """Segment the pages of an image file one after the other; arguments and errors are those of a call."""
        data = read_bytes(Path(path))
        for page in decode(data, str(path), max_pixels):
            yield self.segment_page(page, str(path), data, probabilities=probabilities)

    def segment_page(
        self,
        page: Array,
        name: str,
        data: bytes | None = None,
        *,
        probabilities: bool = False,
        progress: Progress | None = None,
        timings: Timings | None = None,
    ) -> Segmentation:
        """Segment one decoded page.

        Args:
            page: `(H, W, C)` uint8, uint16 or float32.
            name: what errors and the record call it.
            data: the file's content, for its digest; None where there was no file.
            probabilities: as in a call.
            progress: as in a call.
            timings: of stages that are done.
        """
        timings = timings or Timings()
        session, contract = self.session, self.contract
        image = fitted(page, contract, name)
        answer = _whole if contract.form == "host-ready" else _by_windows
        labels, scores = answer(session, image, name, probabilities, timings, progress)
        source = hashlib.sha256(page.tobytes() if data is None else data).hexdigest()
        record = make_record(session, Path(name).name, source, page, labels, timings.ms)

        def again(fitted_image: Array) -> Float:
            later = answer(session, fitted_image, name, True, Timings(), None)[1]
            assert later is not None  # they were asked for
            return later

        return Segmentation(labels, record, page, contract, again, scores)


Answer = tuple[NDArray[np.uint8], "Float | None"]


def _by_windows(
    session: Session, image: Array, name: str, probabilities: bool, timings: Timings, progress: Progress | None
) -> Answer:
    if probabilities:
        return segment_probabilities(image, session.contract, session.run, timings, progress)
    return segment_labels(image, session.contract, session.run, timings, progress), None


def _whole(
    session: Session, image: Array, name: str, probabilities: bool, timings: Timings, progress: Progress | None
) -> Answer:
    """By a host-ready file, whose graph holds all four steps."""
    dtype = session.contract.host_dtype
    if image.dtype != dtype:
        fix = f"convert the image, or export the model with --host-ready --host-dtype {image.dtype}"
        raise ImageError(f"{name} has dtype {image.dtype}", f"{dtype} as the model was exported", fix)
    if probabilities and not session.has_probabilities:
        fix = "export it with --host-ready --host-probabilities"
        raise ModelError("this host-ready model gives labels only", "one with probabilities", fix)
    start = time.perf_counter()
    answer = session.run_image(image, probabilities)
    timings.add("inference", start)
    if progress:
        progress(1, 1)
    return answer
