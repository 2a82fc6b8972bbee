"""Many images: which ones, what is already done, decode and encode beside the inference, one bad image at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from .atomic import write_atomic
from .errors import ImageError, SegError
from .image import SUFFIXES, decode, mask_image, read_bytes, write_pages
from .limits import MAX_PIXELS
from .overlay import overlay
from .preprocess import Array
from .record import stack_record
from .segment import Progress, Segmentation, Segmenter

KINDS = ("mask", "overlay", "probabilities")  # of results: NAME_mask.png and so on
CLASSIC_TIFF = 4_000_000_000  # bytes; its offsets have 32 bits
KEEP = "pass --overwrite to replace it, or choose another --out"


@dataclass(frozen=True)
class Task:
    """One input file and the stem of its results: `STEM_mask.png`, `STEM.json`, …"""

    source: Path
    stem: Path

    @property
    def record(self) -> Path:
        """Where its record lies; `complete` in it says that the rest is whole."""
        return self.stem.with_name(self.stem.name + ".json")

    def result(self, kind: str, suffix: str) -> Path:
        """Path of one result, such as `STEM_mask.png`; `probabilities_npy` is `STEM_probabilities.npy`."""
        return self.stem.with_name(f"{self.stem.name}_{kind.partition('_')[0]}{suffix}")


@dataclass(frozen=True)
class Wishes:
    """What to write, and how."""

    overlay: bool = False
    probabilities: str = ""
    """Empty, `npy` or `tiff`."""
    overwrite: bool = False
    jobs: int = 2
    max_pixels: int = MAX_PIXELS

    def kinds(self) -> dict[str, tuple[str, ...]]:
        """Kinds of results asked for, with the suffixes that each may have (one page or several)."""
        pictures = (".png", ".tif")
        asked: dict[str, tuple[str, ...]] = {"mask": pictures}
        if self.overlay:
            asked["overlay"] = pictures
        if self.probabilities:
            asked[f"probabilities_{self.probabilities}"] = (".npy",) if self.probabilities == "npy" else (".tif",)
        return asked


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
    same_origin: bool
    """Whether results that lie there already are of this very input and model."""


def find_tasks(inputs: Sequence[Path], out: Path, recursive: bool) -> tuple[list[Task], list[tuple[Path, SegError]]]:
    """The files to segment, folders opened, and inputs that cannot be: missing, empty folders, clashing names.

    What an earlier run wrote is never an input, so that `seg-run *.png` can be repeated.

    Args:
        inputs: files and folders.
        out: where results go; a folder's own structure is kept below it.
        recursive: look into folders of folders.
    """
    tasks: dict[Path, Task] = {}
    failed: list[tuple[Path, SegError]] = []
    for given in inputs:
        inside = _is_folder(given)
        found = list(_images(given, recursive)) if inside else [given]
        if not found:
            hint = "" if recursive else " or pass --recursive"
            came = f"{given} has no images ({', '.join(SUFFIXES)})"
            failed.append((given, ImageError(came, "", f"name another folder{hint}")))
        for source in found:
            if _is_result(source):
                continue
            inner = source.parent.relative_to(given) if inside else Path()
            task = Task(source, out / inner / source.stem)
            other = tasks.setdefault(task.stem, task)
            if other.source.resolve() != source.resolve():
                clash = f"{source} and {other.source} would write the same {task.stem.name}_mask"
                failed.append((source, ImageError(clash, "one name each", "run one of them with another --out")))
    sources = {os.path.realpath(task.source) for task in tasks.values()}
    for task in list(tasks.values()):
        targets = [task.record, *(task.result(kind, suffix) for kind in KINDS for suffix in (".png", ".tif", ".npy"))]
        if hit := next((t for t in targets if os.path.realpath(t) in sources), None):
            came = f"{task.source} would write over {hit}, which is an input of this run"
            failed.append((task.source, ImageError(came, "results apart from the images", "choose another --out")))
            del tasks[task.stem]
    return list(tasks.values()), failed


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _images(folder: Path, recursive: bool) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        if not recursive:
            folders.clear()
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Path(place) / name


def _is_result(path: Path) -> bool:
    """Whether the record beside it says that an earlier run wrote this file."""
    for what in KINDS:
        if path.stem.endswith(f"_{what}"):
            try:
                record = _read_record(path.with_name(path.stem.removesuffix(f"_{what}") + ".json"))
            except SegError:
                return False
            return record is not None and path.name in record["outputs"].values()
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
                except Exception as error:
                    yield task, _told(task, error)
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
    except Exception as error:
        return task, _told(task, error)
    return task, "done"


def _told(task: Task, error: Exception) -> SegError:
    """One image's trouble, whatever it is, must not end the run of all others."""
    if isinstance(error, SegError):
        return error
    reason = "out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}"
    return ImageError(f"{task.source} failed ({reason})", "", "try it alone, or report it")


def _load(task: Task, segmenter: Segmenter, wishes: Wishes) -> Loaded | None:
    """The input, or None where an earlier run has finished it."""
    data = read_bytes(task.source)
    digest = hashlib.sha256(data).hexdigest()
    if not wishes.overwrite and _finished(task, digest, segmenter, wishes):
        return None
    record = None
    with contextlib.suppress(SegError):
        record = _read_record(task.record)
    same = record is not None and _same_origin(record, digest, segmenter)
    start = time.perf_counter()
    pages = list(decode(data, str(task.source), wishes.max_pixels))
    return Loaded(data, pages, (time.perf_counter() - start) * 1000, same)


def _finished(task: Task, input_sha256: str, segmenter: Segmenter, wishes: Wishes) -> bool:
    """Whether the very result asked for lies there.

    Raises:
        SegError: something else lies there, which must not be lost.
    """
    record = _read_record(task.record)
    if record is not None and not _same_origin(record, input_sha256, segmenter):
        came = f"{task.record} holds the result of another model or another {task.source.name}"
        raise SegError(came, "a free place", KEEP)
    listed = {} if record is None else record["outputs"]
    for what, suffixes in wishes.kinds().items():
        for path in (task.result(what, suffix) for suffix in suffixes):
            if path.exists() and path.name not in listed.values():
                raise SegError(f"{path} exists and no record of seg-run lists it", "a free place", KEEP)
    return bool(record and record.get("complete")) and all(
        what in listed and (task.stem.parent / listed[what]).exists() for what in wishes.kinds()
    )


def _read_record(path: Path) -> dict[str, Any] | None:
    """An earlier run's record, None where there is none.

    Raises:
        SegError: a file of that name that seg-run did not write, or that cannot be read.
    """
    try:
        record = json.loads(path.read_bytes())
        names = [record["input"]["sha256"], record["model"]["sha256"], *record["outputs"].values()]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SegError(
            f"{path} cannot be read ({error.strerror})", "a readable folder", "choose another --out"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegError(f"{path} exists and is no record of seg-run", "a free place", KEEP) from error
    if not all(isinstance(n, str) and n == Path(n).name for n in names):
        raise SegError(f"{path} exists and is no record of seg-run", "a free place", KEEP)
    return dict(record)


def _same_origin(record: dict[str, Any], input_sha256: str, segmenter: Segmenter) -> bool:
    then = [record["input"]["sha256"], record["model"]["sha256"], record.get("provider", {}).get("fast_math")]
    return then == [input_sha256, segmenter.model_sha256, segmenter.session.fast_math]


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
    """Write all results of one input between two forms of its record: one that announces them, one that completes."""
    start = time.perf_counter()
    writers = _writers(results, wishes)
    targets = {what: task.result(what, suffix) for what, (suffix, _) in writers.items()}
    before = _listed(task)
    outputs = {**before, **{what: path.name for what, path in targets.items()}}
    _write_record(task, results, {"decode": loaded.decode_ms}, outputs, complete=False)
    for what, (_, write) in writers.items():
        write_atomic(targets[what], write)
    if not loaded.same_origin:  # what another model said must not be taken for this one's
        for name in set(before.values()) - {path.name for path in targets.values()}:
            (task.stem.parent / name).unlink(missing_ok=True)
        outputs = {what: path.name for what, path in targets.items()}
    times = {"decode": loaded.decode_ms, "encode": (time.perf_counter() - start) * 1000}
    _write_record(task, results, times, outputs, complete=True)


def _writers(results: Sequence[Segmentation], wishes: Wishes) -> dict[str, tuple[str, Callable[[BinaryIO], object]]]:
    """For each kind of result its suffix and what writes it."""
    classes = results[0].contract.classes
    suffix = ".png" if len(results) == 1 else ".tif"
    writers: dict[str, tuple[str, Callable[[BinaryIO], object]]] = {
        "mask": (suffix, lambda file: write_pages(file, [mask_image(r.labels, classes) for r in results]))
    }
    if wishes.overlay:
        pictures = (overlay(r.image, r.labels, classes) for r in results)
        writers["overlay"] = suffix, lambda file: write_pages(file, list(pictures))
    if wishes.probabilities == "npy":
        values = _stacked([r.probabilities for r in results])
        writers["probabilities_npy"] = ".npy", lambda file: np.save(file, values)
    elif wishes.probabilities == "tiff":
        planes = [Image.fromarray(plane) for r in results for plane in r.probabilities]
        writers["probabilities_tiff"] = ".tif", lambda file: _write_tiff(file, planes)
    return writers


def _write_record(
    task: Task, results: Sequence[Segmentation], ms: Mapping[str, float], outputs: Mapping[str, str], complete: bool
) -> None:
    per_page = {stage: value / len(results) for stage, value in ms.items()}
    record = {"complete": complete, **stack_record([r.record for r in results], per_page, outputs)}
    text = json.dumps(record, indent=2) + "\n"
    write_atomic(task.record, lambda file: file.write(text.encode()))


def _listed(task: Task) -> dict[str, str]:
    """Results that the record of an earlier run lists, by kind."""
    try:
        record = _read_record(task.record)
    except SegError:
        return {}  # --overwrite on a file that is no record: ours replaces it
    return dict(record["outputs"]) if record else {}


def _stacked(pages: Sequence[Array]) -> Array:
    """`(K, H, W)` of one page, `(P, K, H, W)` of several."""
    if len({p.shape for p in pages}) > 1:
        raise SegError("the pages differ in size", "one size for a stack in NPY", "use --probabilities tiff")
    return pages[0] if len(pages) == 1 else np.stack(pages)


def _write_tiff(file: BinaryIO, planes: Sequence[Image.Image]) -> None:
    large = sum(p.width * p.height * 4 for p in planes) > CLASSIC_TIFF
    planes[0].save(file, "TIFF", save_all=True, append_images=planes[1:], big_tiff=large)
