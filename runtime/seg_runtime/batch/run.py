"""Run many images: skip finished ones, decode and encode during inference, report each failed image separately."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..formats import Prepared
from ..segmenter import Progress, Segmentation, Segmenter, Timings
from ..support import ImageError, SegError, locked, prepared
from .inputs import BatchOptions, Task
from .load import Content, Loaded
from .records import KEEP, read_record, stack_record, warnings_of


def run_tasks(
    segmenter: Segmenter,
    tasks: Sequence[Task],
    options: BatchOptions,
    progress: Callable[[Task, float], None] = lambda task, share: None,
) -> Iterator[tuple[Task, str | SegError]]:
    """Segment all tasks. The next images are decoded and the last results encoded during inference.

    Args:
        segmenter: the model.
        tasks: tasks from `find_tasks`.
        options: options of the run.
        progress: called with the current task and the share of it that is done.

    Yields:
        Each task with `done`, `skipped`, a note about a finished task, or its error, in order of completion.
    """
    ahead: deque[tuple[Task, Future[Loaded | None]]] = deque()
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
                    loaded = loading.result()
                    if loaded is None:
                        yield task, "skipped"
                        continue
                    results = _segment(segmenter, task, loaded, options, progress)
                    behind.append((task, pool.submit(_write, task, results, loaded, segmenter, options)))
                except Exception as error:
                    yield task, _as_seg_error(task, error)
                while len(behind) > (0 if task.source.format.one_at_a_time else options.jobs):
                    yield _outcome(*behind.popleft())
            while behind:
                yield _outcome(*behind.popleft())
        finally:  # an interrupted run stops decoding; the pool finishes results that are being written
            for _, loading in ahead:
                loading.cancel()


def _outcome(task: Task, writing: Future[str]) -> tuple[Task, str | SegError]:
    try:
        return task, writing.result()
    except Exception as error:
        return task, _as_seg_error(task, error)


def _as_seg_error(task: Task, error: Exception) -> SegError:
    """Convert any error into a SegError, so that one bad image does not stop the others."""
    if isinstance(error, SegError):
        return error
    kind = type(error).__name__
    text = kind if task.source.format.private else f"{kind}: {error}"  # the text may contain a patient's name
    reason = "out of memory" if isinstance(error, MemoryError) else text
    return ImageError(f"{task.source.path} failed ({reason})", "", "run it alone, or report the problem")


def _load(task: Task, segmenter: Segmenter, options: BatchOptions) -> Loaded | None:
    """Load the source of a task; None if an earlier run has finished it."""
    content = Content(task.source)
    if not options.overwrite and _finished(task, content.sha256, segmenter, options):
        return None
    return content.load(segmenter.contract, options.files.max_pixels, options.spacing_mm)


def _record_of(task: Task) -> dict[str, Any] | None:
    """Return the record of earlier results; None if there is none, or a file that is no record."""
    with contextlib.suppress(SegError):
        return read_record(task.record)
    return None


def _finished(task: Task, input_sha256: str, segmenter: Segmenter, options: BatchOptions) -> bool:
    """Return whether the results of a task exist already.

    Raises:
        SegError: other results or files exist and would be overwritten.
    """
    record = read_record(task.record)
    if record is not None and (other := _difference(record, input_sha256, segmenter, options)):
        raise SegError(f"{task.record} is the record of {other}", "", KEEP)
    listed = {} if record is None else record["outputs"]
    for path in (path for output in task.outputs for path in task.paths(output)):
        if os.path.lexists(path) and path.name not in listed.values():  # a dangling link, too
            raise SegError(f"{path} exists but is not listed in a record of seg-run", "", KEEP)
    return bool(record and record.get("complete")) and all(
        output.key in listed and (task.stem.parent / listed[output.key]).exists() for output in task.outputs
    )


def _difference(record: dict[str, Any], input_sha256: str, segmenter: Segmenter, options: BatchOptions) -> str:
    """Return how the origin of a record differs from this run, such as "another model"; empty if it does not."""
    model, provider = record["model"], record.get("provider", {})
    if model["sha256"] not in segmenter.model_sha256s:  # any file of the same model
        name = f" ({model['name']} {model.get('version', '')}".rstrip() + ")" if model.get("name") else ""
        return (
            f"another model{name}, with the SHA-256 {model['sha256'][:12]}… instead of {segmenter.model_sha256[:12]}…"
        )
    if record["input"]["sha256"] != input_sha256:
        return "another image of the same name"
    if provider.get("fast_math") != segmenter.options.fast_math:
        return f"a run with{'' if provider.get('fast_math') else 'out'} --fast-math"
    if model.get("tta", False) != segmenter.options.tta:
        return f"a run with{'' if model.get('tta') else 'out'} --tta"
    if model.get("resample", segmenter.resample) != segmenter.resample:
        return f"a run with --resample {model['resample']}"
    if model.get("pixel_size_mm", []) != list(options.spacing_mm):
        return "a run with another pixel size"
    return ""


def _segment(
    segmenter: Segmenter, task: Task, loaded: Loaded, options: BatchOptions, progress: Callable[[Task, float], None]
) -> list[Segmentation]:
    def watch(page: int) -> Progress:
        return lambda done, total: progress(task, (page + done / total) / loaded.count)

    results: list[Segmentation] = []
    kept = bool(options.probabilities) or (options.measures and segmenter.has_probabilities)
    pages = iter(loaded.pages)
    sha256 = None if task.source.format.private else loaded.sha256
    while True:
        timings, start = Timings(), time.perf_counter()
        if (page := next(pages, None)) is None:
            return results
        if loaded.decode_ms is None:
            timings.add("decode", start)
        result = segmenter.segment_page(
            page,
            sha256,
            probabilities=kept,
            max_pixels=options.files.max_pixels,
            progress=watch(len(results)),
            timings=timings,
        )
        if options.spacing_mm:
            result.record["model"]["pixel_size_mm"] = list(options.spacing_mm)
        if options.numbers_objects and not segmenter.contract.answer.separated:
            result.smallest_object = options.smallest_object
            result.record["objects"] = int(result.objects.max(initial=0))
        deferred = loaded.decode_ms is None
        if deferred or loaded.count > 1:  # hundreds of pages would fill the memory
            if options.measures:
                result.measurements  # noqa: B018 - computed while the page is there
            result.free(image=deferred and not options.overlay, probabilities=not options.probabilities)
        results.append(result)


def _write(
    task: Task, results: Sequence[Segmentation], loaded: Loaded, segmenter: Segmenter, options: BatchOptions
) -> str:
    """Write all results of a source. Its record is written before them, as incomplete, and after them, as complete.

    The results are prepared beside their places and put there together, while other processes wait. Existing results from
    another source or model are removed, so that they are not mistaken for results of this model.

    Returns:
        `done`, `skipped` if another process has finished the task meanwhile, or a note about the results.

    Raises:
        SegError: another process has written other results meanwhile.
    """
    start = time.perf_counter()
    made = {output.key: Prepared(*output.prepare(results, task.source)) for output in task.outputs}
    paths = {output.key: task.path(output, made[output.key].suffix) for output in task.outputs}
    new = {key: path.name for key, path in paths.items()}
    times = {} if loaded.decode_ms is None else {"decode": loaded.decode_ms}
    facts = [task.source.format.record(task.source, results), *(ready.record for ready in made.values())]
    with contextlib.ExitStack() as written:
        puts = [written.enter_context(prepared(paths[key], ready.write)) for key, ready in made.items()]
        written.enter_context(locked(task.stem.parent))
        if not options.overwrite and _finished(task, loaded.sha256, segmenter, options):
            return "skipped"
        record = _record_of(task)
        listed = {} if record is None else record["outputs"]
        before = {key: name for key, name in listed.items() if name not in new.values()}
        alike = record is not None and not _difference(record, loaded.sha256, segmenter, options)
        if alike and not any("measured" in part for part in facts):
            facts.append(_measured_in(record))  # the measures stay
        _write_record(task, results, loaded, facts, times, {**before, **new}, complete=False)
        for put in puts:
            put()
        if not alike:
            for name in before.values():
                (task.stem.parent / name).unlink(missing_ok=True)
            before = {}
        times["encode"] = (time.perf_counter() - start) * 1000
        _write_record(task, results, loaded, facts, times, {**before, **new}, complete=True)
    return "; ".join(filter(None, [task.source.format.note(task.source), *warnings_of(results)])) or "done"


def _measured_in(record: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the entry of an earlier record about measures; empty if there is none."""
    found = (record or {}).get("measured")
    return {"measured": found} if isinstance(found, dict) else {}


def _write_record(
    task: Task, results: Sequence[Segmentation], loaded: Loaded, facts: Sequence[Mapping[str, Mapping[str, Any]]],
    ms: Mapping[str, float], outputs: Mapping[str, str], *, complete: bool,
) -> None:  # fmt: skip
    per_page = {stage: value / len(results) for stage, value in ms.items()}
    record = {"complete": complete, **stack_record([r.record for r in results], per_page, outputs)}
    record["input"] |= {"sha256": loaded.sha256}
    if task.source.channel_files:
        record["input"] |= {"name": task.stem.name, "files": [path.name for path in task.source.files]}
    for entry, added in (pair for part in facts for pair in part.items()):
        record[entry] = {**record.get(entry, {}), **added}
    text = json.dumps(record, indent=2) + "\n"
    with prepared(task.record, lambda file: file.write(text.encode())) as put:
        put()
