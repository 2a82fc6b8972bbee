"""Timing of a form in this process or in a separate process.

Two sessions in one process affect each other, because they share its threads, memory and settings. An application has one
session, so `speed` opens each form in a separate process, which waits while another is measured.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from seg_runtime.answers import answer_of
from seg_runtime.model import Contract
from seg_runtime.pipeline import Array, Float, Grid, frame, unframe
from seg_runtime.segmenter import Progress

from .measure import milliseconds
from .peers import FORMS
from .speed_forms import Bench, Form, Labels, MissingError, Running, picture, window

SETTLE_S = 0.02  # pause after a result, because idle threads of ONNX Runtime spin for a while
NOT_RUN = 255  # label of pixels whose window was not run; larger than every class


class Timed(Protocol):
    """An open form. Images are those of `picture`, given by their side in px, so that no image is sent between processes."""

    def window_ms(self) -> float:
        """Milliseconds of one window of 572 px, or of an image of 388 px for a form without windows."""

    def logits(self) -> Float | None:
        """Logits of that window; None for a form without windows."""

    def labels(self, side: int, progress: Progress) -> tuple[Labels, float]:
        """Labels `(side, side)` of a square image, and seconds without the time in `progress`."""

    def follow(self, side: int, share: float) -> None:
        """Prepare `keep_up` on a square image, of which a fraction `share` of the windows is run, evenly spaced."""

    def keep_up(self, done: int, total: int) -> None:
        """Run windows until the same fraction is done as in another form."""

    def followed(self, labels: Labels) -> tuple[float, float]:
        """Seconds of all windows, extrapolated if not all were run, and the fraction of their labels that differ from these."""


class Here:
    """A form in this process, see `Timed`."""

    def __init__(self, running: Running, contract: Contract) -> None:
        """Set up a form of a network with this contract."""
        self.running, self.contract = running, contract
        self.window = window(contract)

    def window_ms(self) -> float:
        """See `Timed`."""
        infer = self.running.infer
        if infer is not None:
            return milliseconds(lambda: infer(self.window))
        image = picture(self.contract, self.contract.geometry.output_shape[0])
        return milliseconds(lambda: self.running.labels(image, None))

    def logits(self) -> Float | None:
        """See `Timed`."""
        return None if self.running.infer is None else self.running.infer(self.window)

    def labels(self, side: int, progress: Progress) -> tuple[Labels, float]:
        """See `Timed`."""
        away = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal away
            left = time.perf_counter()
            progress(done, total)
            away += time.perf_counter() - left

        image = picture(self.contract, side)
        start = time.perf_counter()
        found = self.running.labels(image, tell)
        return found, time.perf_counter() - start - away

    def follow(self, side: int, share: float) -> None:
        """See `Timed`."""
        framed = frame(picture(self.contract, side), self.contract)
        self.grid = Grid.of(framed.shape[:-1], self.contract.geometry)
        self.origins = self.grid.origins()
        pace = 1 / max(share, 1 / len(self.origins))
        self.chosen = sorted({int(i * pace) for i in range(round(len(self.origins) / pace))})
        self.numbered = enumerate(self.grid.windows(framed, self.contract.input.intensity))
        self.found = np.full(self.grid.shape, NOT_RUN, np.uint8)
        self.ms: list[float] = []

    def keep_up(self, done: int, total: int) -> None:
        """See `Timed`."""
        assert self.running.infer is not None
        while len(self.ms) < len(self.chosen) * done // total:
            wanted = self.chosen[len(self.ms)]
            cut = next(cut for number, cut in self.numbered if number == wanted)
            before = time.perf_counter()
            logits = self.running.infer(cut)[0]
            self.ms.append((time.perf_counter() - before) * 1000)
            self.grid.place(answer_of(self.contract).window(logits), self.origins[wanted], self.found)

    def followed(self, labels: Labels) -> tuple[float, float]:
        """See `Timed`."""
        own: Array = unframe(self.found, labels.shape)
        ran = own != NOT_RUN
        seconds = sum(self.ms) / 1000 * len(self.origins) / len(self.chosen)
        return seconds, float((own[ran] != labels[ran]).mean())


class Apart:
    """A form in a separate process, see `Timed`. Use it in a `with` statement."""

    def __init__(self, form: Form, bench: Bench) -> None:
        """Make the file of the form if it is missing, and open it.

        Raises:
            MissingError: if the form is not available here.
        """
        path, self.key = form.made(bench), form.key
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        words = (theirs, form.key, path, bench.contract.to_json(), bench.threads)
        self.process = context.Process(target=_serve, args=words, daemon=True)
        self.process.start()
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Apart:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def window_ms(self) -> float:
        """See `Timed`."""
        return float(self._ask("window_ms"))

    def logits(self) -> Float | None:
        """See `Timed`."""
        answer: Float | None = self._ask("logits")
        return answer

    def labels(self, side: int, progress: Progress) -> tuple[Labels, float]:
        """See `Timed`."""
        answer: tuple[Labels, float] = self._ask("labels", side, progress=progress)
        return answer

    def follow(self, side: int, share: float) -> None:
        """See `Timed`."""
        self._ask("follow", side, share)

    def keep_up(self, done: int, total: int) -> None:
        """See `Timed`."""
        self._ask("keep_up", done, total)

    def followed(self, labels: Labels) -> tuple[float, float]:
        """See `Timed`."""
        answer: tuple[float, float] = self._ask("followed", labels)
        return answer

    def _ask(self, name: str, *given: object, progress: Progress | None = None) -> Any:
        self.pipe.send((name, given, progress is not None))
        return self._answer(progress)

    def _answer(self, progress: Progress | None = None) -> Any:
        """Return the result after the process has settled, and report progress."""
        while True:
            try:
                what, content = self.pipe.recv()
            except EOFError:
                self.process.join()
                raise RuntimeError(f"the process of {self.key} ended with exit code {self.process.exitcode}") from None
            time.sleep(SETTLE_S)
            if what == "progress":
                assert progress is not None
                progress(*content)
                self.pipe.send(None)
            elif what == "error":
                raise content
            else:
                return content


def _serve(pipe: Connection, key: str, path: Path, contract: str, threads: int) -> None:
    """Open a form and serve its calls until the pipe is closed."""

    def progress(done: int, total: int) -> None:
        pipe.send(("progress", (done, total)))
        pipe.recv()

    def act(action: Callable[[], Any]) -> Any:
        try:
            answer = ("answer", action())
        except MissingError as error:
            answer = ("error", error)
        except Exception as error:
            answer = ("error", RuntimeError(f"{key}: {error!r}"))
        return answer

    known = Contract.from_json(contract)
    opened = act(lambda: Here(FORMS[key].open(path, known, threads), known))
    pipe.send(("answer", None) if opened[0] == "answer" else opened)
    while True:
        try:
            name, given, tells = pipe.recv()
        except EOFError:
            return
        pipe.send(act(lambda: getattr(opened[1], name)(*given, *([progress] if tells else []))))  # noqa: B023 - called here
