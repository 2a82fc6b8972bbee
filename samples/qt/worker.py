"""Segmentation in a background thread: one job at a time, with progress, cancellation, and errors as text."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QThreadPool, Signal
from seg_runtime import SegError, Segmentation, Segmenter
from seg_runtime.answers import visible
from seg_runtime.formats import FORMATS, read_bytes


class CancelledError(SegError):
    """The user pressed Cancel."""


class Worker(QObject):
    """Runs slow calls on a separate thread. Its signals arrive on the thread of the receiver.

    Signals:
        decoded: image for display, `(H, W, 3)` uint8, before it is segmented.
        progressed: number of windows done, total number of windows.
        loaded: a Segmenter, at the end of the job.
        segmented: a Segmentation, at the end of the job.
        failed: error message in one line, at the end of the job; empty after a cancellation.
    """

    decoded = Signal(object)
    progressed = Signal(int, int)
    loaded = Signal(object)
    segmented = Signal(object)
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._cancel = threading.Event()
        self._pool = QThreadPool()
        self._pool.setMaxThreadCount(1)

    def load(self, model: Path, provider: str) -> None:
        """Load a model; `loaded` or `failed` follows."""
        self._start(lambda: Segmenter(model, provider=provider), self.loaded)

    def segment(self, segmenter: Segmenter, image: Path) -> None:
        """Segment an image file; `decoded` and `segmented` follow, or `failed`."""
        self._start(lambda: self._segment(segmenter, image), self.segmented)

    def cancel(self) -> None:
        """Stop the running job after the current window. Its result is discarded."""
        self._cancel.set()

    def wait(self) -> None:
        """Wait until no job is running, which is needed before the window closes."""
        self._pool.waitForDone()

    def _segment(self, segmenter: Segmenter, image: Path) -> Segmentation:
        """Do the same as `segmenter(image)` in two steps, so that the image is shown immediately."""
        data = read_bytes(image)
        pages = list(FORMATS.pages(data, image.name, segmenter.contract))
        if len(pages) > 1:
            raise SegError(f"{image.name} has {len(pages)} pages", "one page", "save the page that you need as a file")
        self.decoded.emit(visible(pages[0].array))
        return segmenter.segment_page(pages[0], hashlib.sha256(data).hexdigest(), progress=self._tick)

    def _tick(self, done: int, total: int) -> None:
        """Report progress. The Segmenter calls this after each window; an exception stops it."""
        self._stop_if_cancelled()
        self.progressed.emit(done, total)

    def _stop_if_cancelled(self) -> None:
        if self._cancel.is_set():
            raise CancelledError("cancelled")

    def _start(self, work: Callable[[], Any], result: Any) -> None:
        self._cancel.clear()

        def job() -> None:
            signal, value = self._outcome(work, result)
            signal.emit(value)  # a single signal, so that a job never ends without its result

        self._pool.start(job)

    def _outcome(self, work: Callable[[], Any], result: Any) -> tuple[Any, Any]:
        """Return the signal to emit and its value. Nothing is raised, because an exception would end the thread silently."""
        try:
            value = work()
            self._stop_if_cancelled()
        except CancelledError:
            return self.failed, ""
        except SegError as error:  # the message says what is wrong and what to do
            return self.failed, str(error)
        except Exception as error:  # a bug or out of memory: shown like other errors, and the application continues
            return self.failed, f"{type(error).__name__}: {error}"
        return result, value
