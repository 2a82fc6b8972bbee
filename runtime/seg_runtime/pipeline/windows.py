"""One image through a model, window by window: the corridor that training, export and runtime share.

While a window is in the network, one helper thread decides and places the answer of the window before it and prepares
the one after it. Order, values and memory (two windows, two answers) are those of doing one thing after the other.
A file that takes several windows in one call gets them in groups, which take the place of single windows in all this.
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
"""Called with windows done and windows in all."""
Finish = Callable[[tuple[int, ...], Float], None]
"""Takes the origin of a window and its logits `(K, *output_shape)`."""


class PerWindow(Protocol):
    """What is made of logits; see `answers.Answer`."""

    def empty(self, shape: tuple[int, ...]) -> Array:
        """An array `(…, *shape)` to be filled."""

    def window(self, logits: Float) -> Array:
        """What becomes of the logits `(K, *spatial)` of a window."""

    def whole(self, stitched: Array) -> Array:
        """What becomes of all of it, at the image's own size."""


@dataclass
class Timings:
    """Milliseconds spent per stage on one image; those of stages that overlap add up to more than the clock's."""

    ms: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, start: float) -> float:
        """Book the time since `start` on `stage`; returns now."""
        now = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now - start) * 1000
        return now


def window_logits(image: Array, contract: Contract, infer: Infer) -> tuple[Grid, Iterator[Float]]:
    """The logits of a model for one image, one window at a time when asked for, without a helper thread.

    Args:
        image: `(*spatial, C)` with the contract's channels.
        contract: how to cut and normalise.
        infer: see `Infer`; it gets one window at a time here.

    Returns:
        The Grid, and an iterator over logits `(K, *output_shape)` in the order of its origins.
    """
    framed = frame(image, contract)
    grid = Grid.of(framed.shape[:-1], contract.geometry)
    return grid, (infer(window)[0] for window in grid.windows(framed, contract.input.intensity))


def segment(
    image: Array, contract: Contract, infer: Infer, answer: PerWindow, timings: Timings | None = None,
    progress: Progress | None = None, probabilities: bool = False,
) -> tuple[Array, Float | None]:  # fmt: skip
    """The answer for an image, and its probabilities where they are asked for.

    A window's answer is made and placed before the next one's, so that besides the answer there is memory for two calls'
    logits only; with probabilities for the logits of the whole image. A model of slices answers a volume slice by slice.

    Args:
        image: `(*spatial, C)` with the contract's channels.
        contract: how to cut and normalise.
        infer: the model.
        answer: what is made of logits.
        timings: receives `preprocess`, `inference` and `postprocess`.
        progress: told of windows.
        probabilities: of a model that has an activation.

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
    """What a model of `axes` spatial axes answers for an image, or for each slice of a volume.

    Args:
        image: `(*spatial, C)`, of `axes` spatial axes or one more.
        axes: of the model.
        one: answers one image, arrays `(…, *spatial)`, and tells of its progress.
        progress: told of the windows of all slices.

    Returns:
        The arrays of `one`; of a volume `(…, D, *spatial)`, slices along the axis D.
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
    """Progress of one slice as progress of a volume of so many slices."""
    if progress is None:
        return None
    watch = progress
    return lambda done, total: watch(number * total + done, slices * total)


def _stitched(
    image: Array, contract: Contract, infer: Infer, answer: PerWindow, times: Timings, progress: Progress | None,
    probabilities: bool,
) -> Sequence[Array]:  # fmt: skip
    """The answers of all windows of one image or slice, stitched, and its probabilities where they are asked for."""
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
    """Run all windows of a framed image; `infer` and `progress` are called in the caller's thread only."""
    batch = contract.file.batch
    origins = grid.origins()
    groups = [origins[i : i + batch] for i in range(0, len(origins), batch)]
    made = _timed(grid.windows(framed, contract.input.intensity, reuse=True, batch=batch), times)

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
                progress(min((number + 1) * batch, len(origins)), len(origins))


def _timed(made: Iterator[Float], times: Timings) -> Iterator[Float]:
    while True:
        start = time.perf_counter()
        group = next(made, None)
        times.add("preprocess", start)
        if group is None:
            return
        yield group
