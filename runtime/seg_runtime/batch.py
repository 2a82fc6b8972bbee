"""Many images: which ones, what is already done, decode and encode beside the inference, one bad image at a time."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from .atomic import write_atomic
from .errors import ImageError, SegError
from .image import MAX_PIXELS, SUFFIXES, decode, mask_image, read_bytes, write_pages
from .overlay import overlay
from .preprocess import Array
from .record import stack_record
from .segment import Progress, Segmentation, Segmenter

RESULTS = ("_mask", "_overlay", "_probabilities")


@dataclass(frozen=True)
class Task:
    """One input file and the stem of its results: `STEM_mask.png`, `STEM.json`, …"""

    source: Path
    stem: Path

    @property
    def record(self) -> Path:
        """Where its record lies; written last, so that it says that the rest is whole."""
        return self.stem.with_name(self.stem.name + ".json")

    def result(self, what: str, suffix: str) -> Path:
        """Path of one result, such as `STEM_mask.png`."""
        return self.stem.with_name(f"{self.stem.name}_{what}{suffix}")


@dataclass(frozen=True)
class Wishes:
    """What to write, and how."""

    overlay: bool = False
    probabilities: str = ""
    """Empty, `npy` or `tiff`."""
    overwrite: bool = False
    jobs: int = 2
    max_pixels: int = MAX_PIXELS


@dataclass
class Outcome:
    """What became of a run."""

    done: list[Task] = field(default_factory=list)
    skipped: list[Task] = field(default_factory=list)
    failed: list[tuple[Path, SegError]] = field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    """An input in memory."""

    data: bytes
    pages: list[Array]
    decode_ms: float


def find_tasks(inputs: Sequence[Path], out: Path, recursive: bool) -> tuple[list[Task], list[tuple[Path, SegError]]]:
    """The files to segment, folders opened, and inputs that cannot be: missing, empty folders, clashing names.

    Args:
        inputs: files and folders.
        out: where results go; a folder's own structure is kept below it.
        recursive: look into folders of folders.
    """
    tasks: dict[Path, Task] = {}
    failed: list[tuple[Path, SegError]] = []
    for given in inputs:
        found = list(_images(given, recursive)) if given.is_dir() else [given]
        if not found:
            hint = "" if recursive else " or pass --recursive"
            failed.append(
                (given, ImageError(f"{given} has no images ({', '.join(SUFFIXES)})", "", f"name another folder{hint}"))
            )
        for source in found:
            inner = source.parent.relative_to(given) if given.is_dir() else Path()
            task = Task(source, out / inner / source.stem)
            other = tasks.setdefault(task.stem, task)
            if other.source.resolve() != source.resolve():
                clash = f"{source} and {other.source} would write the same {task.stem.name}_mask"
                failed.append((source, ImageError(clash, "one name each", "run one of them with another --out")))
    return list(tasks.values()), failed


def _images(folder: Path, recursive: bool) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        if not recursive:
            folders.clear()
        for name in sorted(files):
            path = Path(place) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith(".") and not _is_result(path):
                yield path


def _is_result(path: Path) -> bool:
    """Whether the file was written by an earlier run, which left its record beside it."""
    for what in RESULTS:
        if path.stem.endswith(what):
            return path.with_name(path.stem.removesuffix(what) + ".json").exists()
    return False


def run(
    segmenter: Segmenter,
    tasks: Sequence[Task],
    wishes: Wishes,
    progress: Callable[[Task, float], None] = lambda task, share: None,
) -> Iterator[tuple[Task, str | SegError]]:
    """Segment all tasks; decoding of the next and encoding of the last images overlap the inference.

    Args:
        segmenter: the model.
        tasks: what to do.
        wishes: what to write.
        progress: called with the task in hand and the share of it that is done.

    Yields:
        Each task with `done`, `skipped` or the error that it met, in order of completion.
    """
    ahead: deque[tuple[Task, Future[Loaded | None]]] = deque()
    behind: deque[tuple[Task, Future[None]]] = deque()
    waiting = iter(tasks)
    with ThreadPoolExecutor(wishes.jobs) as pool:
        try:
            while True:
                while len(ahead) < wishes.jobs and (task := next(waiting, None)):
                    ahead.append((task, pool.submit(_load, task, segmenter, wishes)))
                if not ahead:
                    break
                task, loading = ahead.popleft()
                try:
                    loaded = loading.result()
                    if loaded is None:
                        yield task, "skipped"
                        continue
                    results = _segment(segmenter, task, loaded, wishes, progress)
                    behind.append((task, pool.submit(_write, task, results, loaded, wishes)))
                except SegError as error:
                    yield task, error
                while len(behind) > wishes.jobs:
                    yield _outcome(*behind.popleft())
            while behind:
                yield _outcome(*behind.popleft())
        finally:  # an abandoned run decodes nothing more; what is being written is finished by the pool
            for _, loading in ahead:
                loading.cancel()


def _outcome(task: Task, writing: Future[None]) -> tuple[Task, str | SegError]:
    try:
        writing.result()
    except SegError as error:
        return task, error
    return task, "done"


def _load(task: Task, segmenter: Segmenter, wishes: Wishes) -> Loaded | None:
    """The input, or None where an earlier run has finished it."""
    data = read_bytes(task.source)
    if not wishes.overwrite and _finished(task, hashlib.sha256(data).hexdigest(), segmenter, wishes):
        return None
    start = time.perf_counter()
    pages = list(decode(data, str(task.source), wishes.max_pixels))
    return Loaded(data, pages, (time.perf_counter() - start) * 1000)


def _finished(task: Task, input_sha256: str, segmenter: Segmenter, wishes: Wishes) -> bool:
    """Whether the very result asked for lies there.

    Raises:
        SegError: something else lies there, which must not be lost.
    """
    fix = "pass --overwrite to replace it, or choose another --out"
    try:
        record = json.loads(task.record.read_bytes())
        same = record["input"]["sha256"] == input_sha256 and record["model"]["sha256"] == segmenter.model_sha256
        outputs = set(record["outputs"])
    except FileNotFoundError:
        for mask in (task.result("mask", ".png"), task.result("mask", ".tif")):
            if mask.exists():
                raise SegError(f"{mask} exists and has no record", "a free place", fix) from None
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SegError(f"{task.record} exists and is no record of seg-run", "a free place", fix) from error
    if not same:
        raise SegError(
            f"{task.record} holds the result of another model or another {task.source.name}", "a free place", fix
        )
    wanted = (
        {"mask"} | ({"overlay"} if wishes.overlay else set()) | ({"probabilities"} if wishes.probabilities else set())
    )
    return wanted <= outputs and all((task.stem.parent / record["outputs"][name]).exists() for name in outputs)


def _segment(
    segmenter: Segmenter, task: Task, loaded: Loaded, wishes: Wishes, progress: Callable[[Task, float], None]
) -> list[Segmentation]:
    pages = len(loaded.pages)

    def watch(page: int) -> Progress:
        return lambda done, total: progress(task, (page + done / total) / pages)

    return [
        segmenter.segment_page(
            page, task.source.name, loaded.data, probabilities=bool(wishes.probabilities), progress=watch(index)
        )
        for index, page in enumerate(loaded.pages)
    ]


def _write(task: Task, results: Sequence[Segmentation], loaded: Loaded, wishes: Wishes) -> None:
    start = time.perf_counter()
    classes = results[0].contract.classes
    suffix = ".png" if len(results) == 1 else ".tif"
    outputs: dict[str, Path] = {}

    def put(what: str, ending: str, write: Callable[[BinaryIO], object]) -> None:
        outputs[what] = task.result(what, ending)
        write_atomic(outputs[what], write)

    if wishes.overwrite:
        task.record.unlink(missing_ok=True)  # from here on the old results are no longer whole
    put("mask", suffix, lambda file: write_pages(file, [mask_image(r.labels, classes) for r in results]))
    if wishes.overlay:
        put("overlay", suffix, lambda file: write_pages(file, [overlay(r.image, r.labels, classes) for r in results]))
    if wishes.probabilities == "npy":
        values = [r.probabilities for r in results]
        put("probabilities", ".npy", lambda file: np.save(file, values[0] if len(values) == 1 else _stacked(values)))
    elif wishes.probabilities == "tiff":
        planes = [Image.fromarray(plane) for r in results for plane in r.probabilities]
        put("probabilities", ".tif", lambda file: _write_tiff(file, planes))
    times = {"decode": loaded.decode_ms / len(results), "encode": (time.perf_counter() - start) * 1000 / len(results)}
    record = stack_record([r.record for r in results], times, {what: path.name for what, path in outputs.items()})
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_atomic(task.record, lambda file: file.write(text.encode()))


def _stacked(values: Iterable[Array]) -> Array:
    pages = list(values)
    if len({p.shape for p in pages}) > 1:
        raise SegError("the pages differ in size", "one size for a stack in NPY", "use --probabilities tiff")
    return np.stack(pages)


def _write_tiff(file: BinaryIO, planes: Sequence[Image.Image]) -> None:
    planes[0].save(file, "TIFF", save_all=True, append_images=planes[1:])
