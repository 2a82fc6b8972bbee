"""One image through a model, window by window: the corridor that training, export and runtime share.

While a window is in the network, one helper thread decides and places the answer of the window before it and prepares
the one after it. Order, values and memory (two windows, two answers) are those of doing one thing after the other.
A file that takes several windows in one call gets them in groups, which take the place of single windows in all this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..answers.answer import Answers, Labels, Values, answers_of
from ..model.contract import Contract
from .geometry import frame, unframe
from .postprocess import activate, place
from .preprocess import Array, Float, Grid, plan, windows

Infer = Callable[[Float], Float]
"""Windows `(n, C, *input_shape)` -> logits `(n, K, *output_shape)`, both float32; `n` is at most the contract's `batch`."""
Progress = Callable[[int, int], None]
Finish = Callable[[tuple[int, ...], Float], None]
"""Takes the origin of a window and its logits `(K, *output_shape)`."""


@dataclass
class Timings:
    """Milliseconds spent per stage on one image; those of stages that overlap add up to more than the clock's."""

    ms: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, start: float) -> float:
        """Book the time since `start` on `stage`; returns now."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - start) * 1000
        return now


def window_logits(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> tuple[Grid, Iterator[Float]]:
    """The answers of a model for one image, one at a time when asked for, without a helper.

    Args:
        image: `(H, W, C)` with the contract's channels.
        contract: how to cut and normalise.
        infer: see `Infer`; it gets one window at a time here.
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
    """Labels `(*spatial)` uint8 of an image `(*spatial, C)`; arguments are those of `window_logits`, memory is that of `answered`."""
    return _answer(Labels(contract), image, infer, timings or Timings(), progress)


def segment_values(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> Float:
    """Values `(K, *spatial)` float32 of an image `(*spatial, C)` by a regression, in the units of its training targets."""
    return _answer(Values(contract), image, infer, timings or Timings(), progress)


def answered(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> Array:
    """What the contract's task answers for an image `(*spatial, C)`; arguments are those of `window_logits`.

    A window's answer is made and placed before the next one's, so that besides the answer there is memory for two calls'
    logits only. A model of slices answers a volume slice by slice.
    """
    return _answer(answers_of(contract), image, infer, timings or Timings(), progress)


def _answer(task: Answers, image: Array, infer: Infer, times: Timings, progress: Progress | None) -> Array:
    contract = task.contract
    if image.ndim - 1 > (axes := len(contract.input_shape)):
        whole = task.empty(image.shape[:-1])
        for number, plane in enumerate(image):
            watch = slice_progress(progress, number, len(image))
            slot: tuple[Any, ...] = (..., number, *(slice(None),) * axes)
            whole[slot] = _answer(task, plane, infer, times, watch)
        return whole
    start = time.perf_counter()
    framed = frame(image, contract)
    grid = plan(framed.shape[:-1], contract)
    times.add("preprocess", start)
    whole = task.empty(grid.shape)

    def finish(origin: tuple[int, ...], logits: Float) -> None:
        start = time.perf_counter()
        place(task.of(logits), grid, origin, whole)
        times.add("postprocess", start)

    _overlapped(framed, grid, contract, infer, finish, times, progress)
    return unframe(whole, image.shape[:-1])


def segment_probabilities(
    image: Array, contract: Contract, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
) -> tuple[NDArray[np.uint8], Float]:
    """Labels `(*spatial)` uint8 and probabilities `(K, *spatial)` float32, 0..1, of an image `(*spatial, C)`."""
    task, times = Labels(contract), timings or Timings()
    if image.ndim - 1 > len(contract.input_shape):
        watches = [slice_progress(progress, number, len(image)) for number in range(len(image))]
        pairs = zip(image, watches, strict=True)
        answers = [segment_probabilities(plane, contract, infer, times, watch) for plane, watch in pairs]
        return np.stack([found for found, _ in answers]), np.stack([scores for _, scores in answers], axis=1)
    start = time.perf_counter()
    framed = frame(image, contract)
    grid = plan(framed.shape[:-1], contract)
    times.add("preprocess", start)
    logits = np.zeros((contract.maps, *grid.shape), np.float32)

    def finish(origin: tuple[int, ...], piece: Float) -> None:
        start = time.perf_counter()
        place(piece, grid, origin, logits)
        times.add("postprocess", start)

    _overlapped(framed, grid, contract, infer, finish, times, progress)
    start = time.perf_counter()
    labels = unframe(task.of(logits), image.shape[:-1])
    probabilities = unframe(activate(logits, contract), image.shape[:-1])
    times.add("postprocess", start)
    return labels, probabilities


def slice_progress(progress: Progress | None, number: int, slices: int) -> Progress | None:
    """What is told of the windows of one slice, for who wants to hear of a volume of so many slices."""
    if progress is None:
        return None
    told = progress
    return lambda done, total: told(number * total + done, slices * total)


def _overlapped(
    framed: Array, grid: Grid, contract: Contract, infer: Infer, finish: Finish, times: Timings,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Run all windows of a framed image; `infer` and `progress` are called in the caller's thread only."""
    origins = grid.origins()
    groups = [origins[i : i + contract.batch] for i in range(0, len(origins), contract.batch)]
    made = _timed(windows(framed, grid, contract.intensity, reuse=True, batch=contract.batch), times)

    def beside(number: int, before: Float | None) -> Float | None:
        """What the helper does during the inference of group `number`: finish the last one, prepare the next one."""
        if before is not None:
            finish_all(number - 1, before)
        return next(made, None)

    def finish_all(number: int, logits: Float) -> None:
        for origin, piece in zip(groups[number], logits, strict=True):
            finish(origin, piece)

    group: Float | None = next(made)
    logits: Float | None = None
    # an error or Ctrl-C leaves the block when the helper has ended what it is at, and passes on as it came
    with ThreadPoolExecutor(1) as helper:
        for number in range(len(groups)):
            alone = len(groups) == 1  # needs no thread
            job = None if alone else helper.submit(beside, number, logits)
            assert group is not None  # there is one for every number
            start = time.perf_counter()
            logits = infer(group)
            times.add("inference", start)
            group = job.result() if job else None
            if number == len(groups) - 1:
                finish_all(number, logits)
            if progress:
                progress(min((number + 1) * contract.batch, len(origins)), len(origins))


def _timed(made: Iterator[Float], times: Timings) -> Iterator[Float]:
    while True:
        start = time.perf_counter()
        group = next(made, None)
        times.add("preprocess", start)
        if group is None:
            return
        yield group
