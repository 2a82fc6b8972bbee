"""Run a model on an image, window by window. Training, export and runtime share this code.

While the network runs on a window, a helper thread postprocesses the previous window and prepares the next one. The
order, the values and the memory (two windows and two results) are the same as without the thread. If a file takes
several windows per call, groups of windows take the place of single windows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..model import Contract
from .geometry import frame, unframe
from .grid import Grid
from .intensity import Array, Float
from .postprocess import activate

Infer = Callable[[Float], Float]
"""Windows `(n, C, *input_shape)` -> logits `(n, K, *output_shape)`, both float32; `n` is at most the file's `batch`."""
Progress = Callable[[int, int], None]
"""Called with the number of windows done and their total."""
Finish = Callable[[tuple[int, ...], Float], None]
"""Called with the origin of a window and its logits `(K, *output_shape)`."""


class PerWindow(Protocol):
    """Converts logits to results; see `answers.Answer`."""

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return an array `(…, *shape)` to write results to."""

    def window(self, logits: Float) -> Array:
        """Convert the logits `(K, *spatial)` of a window to a result."""

    def whole(self, stitched: Array) -> Array:
        """Convert the stitched results to the result of the image, at its size."""


@dataclass
class Timings:
    """Milliseconds per stage for one image. Stages overlap, so the sum may exceed the elapsed time."""

    ms: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, start: float) -> float:
        """Add the time since `start` to `stage` and return the current time."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - start) * 1000
        return now


def window_logits(image: Array, contract: Contract, infer: Infer) -> tuple[Grid, Iterator[Float]]:
    """Return the logits of a model for an image, one window at a time, on demand and without a helper thread.

    Args:
        image: `(*spatial, C)` with the channels of the contract.
        contract: how to cut and normalize windows.
        infer: the model, see `Infer`; called with one window at a time.

    Returns:
        The Grid, and an iterator over the logits `(K, *output_shape)` in the order of its origins.
    """
    framed = frame(image, contract)
    grid = Grid.of(framed.shape[:-1], contract.geometry)
    return grid, (infer(window)[0] for window in grid.windows(framed, contract.input.intensity))


def segment(
    image: Array, contract: Contract, infer: Infer, answer: PerWindow, timings: Timings | None = None,
    progress: Progress | None = None, probabilities: bool = False,
) -> tuple[Array, Float | None]:  # fmt: skip
    """Return the result for an image and, if requested, its probabilities.

    The result of each window is stored before that of the next one, so that only the logits of two calls are in memory,
    or those of the whole image with probabilities. A 2-D model processes a volume slice by slice.

    Args:
        image: `(*spatial, C)` with the channels of the contract.
        contract: how to cut and normalize windows.
        infer: the model.
        answer: converts logits to results.
        timings: receives `preprocess`, `inference` and `postprocess`.
        progress: called after each call of the model.
        probabilities: also return probabilities; the model must have an activation.

    Returns:
        `(…, *spatial)`, and `(K, *spatial)` float32, 0..1, or None.
    """
    times = timings or Timings()

    def one(plane: Array, watch: Progress | None) -> Sequence[Array]:
        return _stitched(plane, contract, infer, answer, times, watch, probabilities)

    found, *scores = slice_by_slice(image, contract.geometry.axes, one, progress)
    start = time.perf_counter()
    found = answer.whole(found)
    times.add("postprocess", start)
    return found, scores[0] if scores else None


def slice_by_slice(
    image: Array, axes: int, one: Callable[[Array, Progress | None], Sequence[Array]], progress: Progress | None
) -> Sequence[Array]:
    """Apply a function for images of `axes` spatial axes to an image, or to each slice of a volume.

    Args:
        image: `(*spatial, C)`, with `axes` spatial axes or one more.
        axes: number of spatial axes of the model.
        one: returns arrays `(…, *spatial)` for one image, and reports its progress.
        progress: called with the number of windows done in all slices and their total.

    Returns:
        The arrays of `one`; for a volume `(…, D, *spatial)`, stacked along the axis D.
    """
    if image.ndim - 1 == axes:
        return one(image, progress)
    wholes: list[Array] = []
    for number, plane in enumerate(image):
        pieces = one(plane, _slice_progress(progress, number, len(image)))
        if not wholes:
            wholes = [np.empty((*p.shape[:-axes], len(image), *p.shape[-axes:]), p.dtype) for p in pieces]
        for whole, piece in zip(wholes, pieces, strict=True):
            slot: tuple[Any, ...] = (..., number, *(slice(None),) * axes)
            whole[slot] = piece
    return wholes


def _slice_progress(progress: Progress | None, number: int, slices: int) -> Progress | None:
    """Convert the progress of one slice to the progress of a volume."""
    if progress is None:
        return None
    watch = progress
    return lambda done, total: watch(number * total + done, slices * total)


def _stitched(
    image: Array, contract: Contract, infer: Infer, answer: PerWindow, times: Timings, progress: Progress | None,
    probabilities: bool,
) -> Sequence[Array]:  # fmt: skip
    """Return the stitched results of all windows of an image or slice and, if requested, its probabilities."""
    start = time.perf_counter()
    framed = frame(image, contract)
    grid = Grid.of(framed.shape[:-1], contract.geometry)
    times.add("preprocess", start)
    spec = contract.answer
    whole = np.zeros((spec.maps, *grid.shape), np.float32) if probabilities else answer.empty(grid.shape)

    def finish(origin: tuple[int, ...], logits: Float) -> None:
        start = time.perf_counter()
        grid.place(logits if probabilities else answer.window(logits), origin, whole)
        times.add("postprocess", start)

    _overlapped(framed, grid, contract, infer, finish, times, progress)
    start = time.perf_counter()
    found = (answer.window(whole), activate(whole, spec.activation)) if probabilities else (whole,)
    result = [unframe(values, image.shape[:-1]) for values in found]
    times.add("postprocess", start)
    return result


def _overlapped(
    framed: Array, grid: Grid, contract: Contract, infer: Infer, finish: Finish, times: Timings,
    progress: Progress | None,
) -> None:  # fmt: skip
    """Run all windows of an image after `frame`. `infer` and `progress` are called in the caller's thread only."""
    batch = contract.file.batch
    origins = grid.origins()
    groups = [origins[i : i + batch] for i in range(0, len(origins), batch)]
    made = _timed(grid.windows(framed, contract.input.intensity, reuse=True, batch=batch), times)

    def beside(number: int, before: Float | None) -> Float | None:
        """Finish the previous group and prepare the next one, in the helper thread during the inference of group
        `number`."""
        if before is not None:
            finish_all(number - 1, before)
        return next(made, None)

    def finish_all(number: int, logits: Float) -> None:
        for origin, piece in zip(groups[number], logits, strict=True):
            finish(origin, piece)

    group: Float | None = next(made)
    logits: Float | None = None
    # an error or Ctrl-C is raised unchanged after the helper has finished its current job
    with ThreadPoolExecutor(1) as helper:
        for number in range(len(groups)):
            alone = len(groups) == 1  # no thread is needed
            job = None if alone else helper.submit(beside, number, logits)
            assert group is not None  # there is a group for every number
            start = time.perf_counter()
            logits = infer(group)
            times.add("inference", start)
            group = job.result() if job else None
            if number == len(groups) - 1:
                finish_all(number, logits)
            if progress:
                progress(min((number + 1) * batch, len(origins)), len(origins))


def _timed(made: Iterator[Float], times: Timings) -> Iterator[Float]:
    while True:
        start = time.perf_counter()
        group = next(made, None)
        times.add("preprocess", start)
        if group is None:
            return
        yield group
