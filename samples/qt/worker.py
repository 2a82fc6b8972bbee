"""Segmentation beside the user interface: one job at a time, with progress, cancel, and errors as text."""

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
    """The person pressed Cancel."""


class Worker(QObject):
    """Runs the slow calls on a thread of its own; its signals arrive on the thread of whoever connected to them.

    Signals:
        decoded: `(H, W, 3)` uint8, the image for the eye, before it is segmented.
        progressed: windows done, windows in all.
        ended: the job is over; what became of it follows:
        loaded: a Segmenter.
        segmented: a Segmentation.
        failed: one line, what came and what to do; empty after a cancel.
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
        """Stop the job in hand as soon as its present window is done; a result that still comes is dropped.

        A host-ready file answers in one piece, so there the whole image is finished first.
        """
        self._cancel.set()

    def wait(self) -> None:
        """Until no job runs, as a closing window must."""
        self._pool.waitForDone()

    def _segment(self, segmenter: Segmenter, image: Path) -> Segmentation:
        """What `segmenter(image)` does, in two steps, so that the image can be seen at once."""
        data = read_bytes(image)
        pages = list(FORMATS.pages(data, image.name, segmenter.contract))
        if len(pages) > 1:
            raise SegError(f"{image.name} has {len(pages)} pages", "one", "save the one you want alone")
        self.decoded.emit(visible(pages[0].array))
        return segmenter.segment_page(pages[0], hashlib.sha256(data).hexdigest(), progress=self._tick)

    def _tick(self, done: int, total: int) -> None:
        """Called by the Segmenter after each window; an exception from here ends its work."""
        self._stop_if_cancelled()
        self.progressed.emit(done, total)

    def _stop_if_cancelled(self) -> None:
        if self._cancel.is_set():
            raise CancelledError("cancelled")

    def _start(self, work: Callable[[], Any], result: Any) -> None:
        self._cancel.clear()

        def job() -> None:
            signal, value = self._outcome(work, result)
            signal.emit(value)  # the only one, so that nobody sees the job ended without its result

        self._pool.start(job)

    def _outcome(self, work: Callable[[], Any], result: Any) -> tuple[Any, Any]:
        """The signal to give, and its value. Nothing is raised: an exception would end the thread without a word."""
        try:
            value = work()
            self._stop_if_cancelled()
        except CancelledError:
            return self.failed, ""
        except SegError as error:  # says itself what problem, what was wanted and what to do
            return self.failed, str(error)
        except Exception as error:  # a bug, or no memory: told like the rest, and the window lives on
            return self.failed, f"{type(error).__name__}: {error}"
        return result, value
