"""Many images: what is already done, decode and encode beside the inference, one bad image at a time."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..segmenter import Progress, Segmentation, Segmenter, Timings
from ..support import ImageError, SegError
from .inputs import BatchOptions, Task
from .load import Content, Loaded
from .records import KEEP, read_record
from .write import write_results


@dataclass
class Outcome:
    """What became of a run."""

    done: list[Task] = field(default_factory=list)
    skipped: list[Task] = field(default_factory=list)
    failed: list[tuple[Path, SegError]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Waiting:
    """A loaded source, and whether results that lie there already are of this very source and model."""

    loaded: Loaded
    same_origin: bool


def run(
    segmenter: Segmenter,
    tasks: Sequence[Task],
    options: BatchOptions,
    progress: Callable[[Task, float], None] = lambda task, share: None,
) -> Iterator[tuple[Task, str | SegError]]:
    """Segment all tasks; decoding of the next and encoding of the last images overlap the inference.

    Args:
        segmenter: the model.
        tasks: of `find_tasks`.
        options: how they are run.
        progress: called with the task in hand and the share of it that is done.

    Yields:
        Each task with `done`, `skipped`, what is to be known about a task that is done, or the error that it met, in
        order of completion.
    """
    ahead: deque[tuple[Task, Future[_Waiting | None]]] = deque()
    behind: deque[tuple[Task, Future[str]]] = deque()
    rest = iter(tasks)
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            while True:
                while len(ahead) < options.jobs and (task := next(rest, None)):
                    ahead.append((task, pool.submit(_load, task, segmenter, options)))
                if not ahead:
                    break
                task, loading = ahead.popleft()
                try:
                    waiting = loading.result()
                    if waiting is None:
                        yield task, "skipped"
                        continue
                    results = _segment(segmenter, task, waiting.loaded, options, progress)
                    behind.append((task, pool.submit(_write, task, results, waiting)))
                except Exception as error:
                    yield task, _as_seg_error(task, error)
                while len(behind) > (0 if task.source.format.one_at_a_time else options.jobs):
                    yield _outcome(*behind.popleft())
            while behind:
                yield _outcome(*behind.popleft())
        finally:  # an abandoned run decodes nothing more; what is being written is finished by the pool
            for _, loading in ahead:
                loading.cancel()


def _outcome(task: Task, writing: Future[str]) -> tuple[Task, str | SegError]:
    try:
        return task, writing.result()
    except Exception as error:
        return task, _as_seg_error(task, error)


def _as_seg_error(task: Task, error: Exception) -> SegError:
    """One image's trouble, whatever it is, must not end the run of all others."""
    if isinstance(error, SegError):
        return error
    kind = type(error).__name__
    text = kind if task.source.format.private else f"{kind}: {error}"  # a text may quote a patient's name
    reason = "out of memory" if isinstance(error, MemoryError) else text
    return ImageError(f"{task.source.path} failed ({reason})", "", "try it alone, or report it")


def _load(task: Task, segmenter: Segmenter, options: BatchOptions) -> _Waiting | None:
    """The source, or None where an earlier run has finished it."""
    content = Content(task.source)
    if not options.overwrite and _finished(task, content.sha256, segmenter):
        return None
    record = None
    with contextlib.suppress(SegError):
        record = read_record(task.record)
    same = record is not None and _same_origin(record, content.sha256, segmenter)
    return _Waiting(content.load(segmenter.contract, options.max_pixels), same)


def _finished(task: Task, input_sha256: str, segmenter: Segmenter) -> bool:
    """Whether the very results that are wanted lie there.

    Raises:
        SegError: something else lies there, which must not be lost.
    """
    record = read_record(task.record)
    if record is not None and not _same_origin(record, input_sha256, segmenter):
        other = f"another model or another {task.source.path.name}, or of other --tta or --fast-math"
        raise SegError(f"{task.record} holds the result of {other}", "a free place", KEEP)
    listed = {} if record is None else record["outputs"]
    for path in (path for output in task.outputs for path in task.paths(output)):
        if path.exists() and path.name not in listed.values():
            raise SegError(f"{path} exists and no record of seg-run lists it", "a free place", KEEP)
    return bool(record and record.get("complete")) and all(
        output.key in listed and (task.stem.parent / listed[output.key]).exists() for output in task.outputs
    )


def _same_origin(record: dict[str, Any], input_sha256: str, segmenter: Segmenter) -> bool:
    then = [record["input"]["sha256"], record.get("provider", {}).get("fast_math"), record["model"].get("tta", False)]
    now = [input_sha256, segmenter.options.fast_math, segmenter.options.tta]
    return then == now and record["model"]["sha256"] in segmenter.model_sha256s  # any file of the same model


def _segment(
    segmenter: Segmenter, task: Task, loaded: Loaded, options: BatchOptions, progress: Callable[[Task, float], None]
) -> list[Segmentation]:
    def watch(page: int) -> Progress:
        return lambda done, total: progress(task, (page + done / total) / loaded.count)

    results: list[Segmentation] = []
    pages = iter(loaded.pages)
    sha256 = None if task.source.format.private else loaded.sha256
    while True:
        timings, start = Timings(), time.perf_counter()
        if (page := next(pages, None)) is None:
            return results
        if loaded.decode_ms is None:
            timings.add("decode", start)
        result = segmenter.segment_page(
            page, sha256, probabilities=bool(options.probabilities), progress=watch(len(results)), timings=timings
        )
        if loaded.decode_ms is None and not options.overlay:
            result.image = np.empty((0, 0, page.array.shape[-1]), page.array.dtype)  # hundreds would fill the memory
        results.append(result)


def _write(task: Task, results: Sequence[Segmentation], waiting: _Waiting) -> str:
    """`done`, or what is to be known about it."""
    write_results(task, results, waiting.loaded, waiting.same_origin)
    return task.source.format.note(task.source) or "done"
