"""Many images: what is already done, decode and encode beside the inference, one bad image at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..answers import answer_of
from ..formats.channels import stacked
from ..formats.maps import SUFFIX as MAP
from ..formats.maps import Site, read_site
from ..formats.nifti import NiftiGrid, read_grid, write_labels
from ..formats.opening import images_of
from ..formats.pictures import mask_image, read_bytes, write_pages
from ..model.contract import Contract
from ..pipeline.preprocess import Array
from ..record import stack_record
from ..segmenter import Progress, Segmentation, Segmenter, Timings
from ..support.atomic import write_atomic
from ..support.errors import ImageError, SegError
from .tasks import KEEP, Task, Wishes, read_record

CLASSIC_TIFF = 4_000_000_000  # bytes; its offsets have 32 bits
Writer = tuple[str, Callable[[BinaryIO], object]]
"""The suffix of a result's file, and what writes it."""


@dataclass
class Outcome:
    """What became of a run."""

    done: list[Task] = field(default_factory=list)
    skipped: list[Task] = field(default_factory=list)
    failed: list[tuple[Path, SegError]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    """An input, its pages in memory; those of a DICOM stack, which may be hundreds, and a NIfTI volume are read when their
    turn has come."""

    sha256: str
    """Of the file's content, of a stack the digest of its files' digests."""
    pages: Iterable[tuple[str, Array]]
    """Each with the name of its file."""
    count: int
    decode_ms: float | None
    """None where the pages are yet to be read."""
    same_origin: bool
    """Whether results that lie there already are of this very input and model."""


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
        Each task with `done`, `skipped`, what is to be known about a task that is done, or the error that it met, in
        order of completion.

    Raises:
        SegError: probabilities asked of a model that has none.
    """
    wishes = replace(wishes, answer=answer_of(segmenter.contract).output)
    if wishes.probabilities and wishes.answer == "values":
        raise SegError("--probabilities of a regression", "its values, which are written always", "leave it out")
    ahead: deque[tuple[Task, Future[Loaded | None]]] = deque()
    behind: deque[tuple[Task, Future[str]]] = deque()
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
                while len(behind) > (0 if task.volume else wishes.jobs):  # one large volume in memory, not several
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
        return task, _told(task, error)


def _told(task: Task, error: Exception) -> SegError:
    """One image's trouble, whatever it is, must not end the run of all others."""
    if isinstance(error, SegError):
        return error
    text = (
        type(error).__name__ if task.stack else f"{type(error).__name__}: {error}"
    )  # a text may quote a patient's name
    reason = "out of memory" if isinstance(error, MemoryError) else text
    return ImageError(f"{task.source} failed ({reason})", "", "try it alone, or report it")


def _load(task: Task, segmenter: Segmenter, wishes: Wishes) -> Loaded | None:
    """The input, or None where an earlier run has finished it."""
    contents = {path: read_bytes(path) for path in task.files[:1]}  # of a stack only the digests are kept
    digests = [_sha256(contents.get(path) or read_bytes(path)) for path in task.files]
    digest = digests[0] if len(digests) == 1 else _sha256("\n".join(digests).encode())
    if not wishes.overwrite and _finished(task, digest, segmenter, wishes):
        return None
    task.check(wishes)
    record = None
    with contextlib.suppress(SegError):
        record = read_record(task.record)
    same = record is not None and _same_origin(record, digest, segmenter)
    contract = segmenter.contract
    if task.volume or task.stack:
        count = task.stack.frames if task.stack and len(contract.geometry.input_shape) == 2 else 1
        pages = (_channels if task.channels else _later)(task, digests, contract, wishes)
        return Loaded(digest, pages, count, None, same)
    start = time.perf_counter()
    if task.channels:
        found = list(_channels(task, digests, contract, wishes))
    else:
        images = images_of(contents[task.source], str(task.source), contract, wishes.max_pixels)
        found = [(task.source.name, image) for image in images]
    return Loaded(digest, found, len(found), (time.perf_counter() - start) * 1000, same)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _later(task: Task, digests: Sequence[str], contract: Contract, wishes: Wishes) -> Iterator[tuple[str, Array]]:
    for path, digest in zip(task.files, digests, strict=True):
        data = read_bytes(path)
        if _sha256(data) != digest:
            raise ImageError(f"{path} changed while it was read", "files that stay", "run it again")
        yield from ((path.name, page) for page in images_of(data, str(path), contract, wishes.max_pixels))


def _channels(task: Task, digests: Sequence[str], contract: Contract, wishes: Wishes) -> Iterator[tuple[str, Array]]:
    """`(*spatial, C)` of files with a channel each."""
    if task.volume:
        first, *others = (read_grid(read_bytes(path), str(path)) for path in task.files)
        if odd := next((p for p, g in zip(task.files[1:], others, strict=True) if not first.same_place(g)), None):
            raise ImageError(f"{odd} has another affine than {task.source.name}", "one grid", "resample it to that")
    planes = []
    for path, pages in groupby(_later(task, digests, contract, wishes), key=lambda page: page[0]):
        (_, plane), *more = pages
        if more:
            raise ImageError(f"{path} has several pages", "one channel a file", "split the stack")
        planes.append(plane)
    yield task.stem.name, stacked(planes, [path.name for path in task.files], contract.input.channel_files)


def _finished(task: Task, input_sha256: str, segmenter: Segmenter, wishes: Wishes) -> bool:
    """Whether the very result asked for lies there.

    Raises:
        SegError: something else lies there, which must not be lost.
    """
    record = read_record(task.record)
    if record is not None and not _same_origin(record, input_sha256, segmenter):
        came = f"{task.record} holds the result of another model or another {task.source.name}, or of other --tta or --fast-math"
        raise SegError(came, "a free place", KEEP)
    listed = {} if record is None else record["outputs"]
    for what, suffixes in task.kinds(wishes).items():
        for path in (task.result(what, suffix) for suffix in suffixes):
            if path.exists() and path.name not in listed.values():
                raise SegError(f"{path} exists and no record of seg-run lists it", "a free place", KEEP)
    return bool(record and record.get("complete")) and all(
        what in listed and (task.stem.parent / listed[what]).exists() for what in task.kinds(wishes)
    )


def _same_origin(record: dict[str, Any], input_sha256: str, segmenter: Segmenter) -> bool:
    then = [record["input"]["sha256"], record.get("provider", {}).get("fast_math"), record["model"].get("tta", False)]
    now = [input_sha256, segmenter.session.fast_math, segmenter.tta]
    return then == now and record["model"]["sha256"] in segmenter.model_sha256s  # any file of the same model


def _segment(
    segmenter: Segmenter, task: Task, loaded: Loaded, wishes: Wishes, progress: Callable[[Task, float], None]
) -> list[Segmentation]:
    def watch(page: int) -> Progress:
        return lambda done, total: progress(task, (page + done / total) / loaded.count)

    results: list[Segmentation] = []
    pages = iter(loaded.pages)
    while True:
        timings, start = Timings(), time.perf_counter()
        if (following := next(pages, None)) is None:
            return results
        name, page = following
        if loaded.decode_ms is None:
            timings.add("decode", start)
        result = segmenter.segment_page(
            page, name, None if task.stack else loaded.sha256,
            probabilities=bool(wishes.probabilities), progress=watch(len(results)), timings=timings,
        )  # fmt: skip
        if loaded.decode_ms is None and not wishes.overlay:
            result.image = np.empty((0, 0, page.shape[-1]), page.dtype)  # hundreds of slices would fill the memory
        results.append(result)


def _write(task: Task, results: Sequence[Segmentation], loaded: Loaded, wishes: Wishes) -> str:
    """Write all results of one input between two forms of its record: one that announces them, one that completes.

    Returns:
        `done`, or what is to be known about it.
    """
    start = time.perf_counter()
    site = _site(task, loaded, results[0].contract, wishes) if task.structure else None
    writers = _writers(task, results, wishes, site)
    targets = {what: task.result(what, suffix) for what, (suffix, _) in writers.items()}
    new = {what: path.name for what, path in targets.items()}
    before = {what: name for what, name in _listed(task).items() if name not in new.values()}
    outputs = {**before, **new}
    times = {} if loaded.decode_ms is None else {"decode": loaded.decode_ms}
    facts = {"structure": site.record(results[0].labels, results[0].contract.classes)} if site else {}
    _write_record(task, results, loaded, times, outputs, facts, complete=False)
    for what, (_, write) in writers.items():
        write_atomic(targets[what], write)
    if not loaded.same_origin:  # what another model said must not be taken for this one's
        for name in before.values():
            (task.stem.parent / name).unlink(missing_ok=True)
        outputs = new
    times["encode"] = (time.perf_counter() - start) * 1000
    _write_record(task, results, loaded, times, outputs, facts, complete=True)
    if task.stack and task.stack.no_seg:
        return f"{task.source} got a plain mask and no DICOM SEG: {task.stack.no_seg}"
    return "done"


def _site(task: Task, loaded: Loaded, contract: Contract, wishes: Wishes) -> Site:
    """The structure that was answered, read once more for its residues and the place of its grid."""
    data = read_bytes(task.source)
    if _sha256(data) != loaded.sha256:
        raise ImageError(f"{task.source} changed while it was read", "a file that stays", "run it again")
    assert contract.input.voxels  # of a model that has answered a structure
    return read_site(data, task.source, contract.input.voxels, wishes.max_pixels)


def _writers(task: Task, results: Sequence[Segmentation], wishes: Wishes, site: Site | None) -> dict[str, Writer]:
    """For each kind of result its suffix and what writes it."""
    grid = read_grid(read_bytes(task.source), str(task.source)) if task.volume else None
    writers = dict([_main_writer(task, results, wishes, grid, site)])
    if wishes.overlay:
        drawn = answer_of(results[0].contract)
        pictures = (drawn.draw(r.image, r.answer) for r in results)
        writers["overlay"] = _suffix(results), lambda file: write_pages(file, list(pictures))
    if wishes.probabilities == "npy":
        values = _stacked([r.probabilities for r in results])
        values = np.stack([grid.stored(plane) for plane in values]) if grid else values
        writers["probabilities_npy"] = ".npy", lambda file: np.save(file, values)
    elif wishes.probabilities == "map" and site:
        scores = results[0].probabilities
        writers["probabilities_map"] = MAP, lambda file: site.write_probability(file, scores)
    elif wishes.probabilities == "tiff":
        planes = [Image.fromarray(plane) for r in results for plane in _planes(r.probabilities)]
        writers["probabilities_tiff"] = ".tif", lambda file: _write_tiff(file, planes)
    return writers


def _main_writer(
    task: Task, results: Sequence[Segmentation], wishes: Wishes, grid: NiftiGrid | None, site: Site | None
) -> tuple[str, Writer]:
    """Of what is written always: the kind, and its writer."""
    if wishes.answer == "values":
        planes = (Image.fromarray(plane) for r in results for plane in _planes(r.values))
        return "values", (".tif", lambda file: _write_tiff(file, list(planes)))
    if grid:
        return "mask", (".nii.gz", lambda file: write_labels(file, results[0].labels, grid))
    if site:
        return "mask", (MAP, lambda file: site.write_labels(file, results[0].labels))
    if task.stack and not task.stack.no_seg:
        seg = _dicom_seg(task, results, wishes)
        return f"seg_{wishes.dicom_seg}", (".dcm", lambda file: file.write(seg))
    classes = results[0].contract.classes
    masks = [mask_image(plane, classes) for r in results for plane in _planes(r.labels)]
    return "mask", (_suffix(masks), lambda file: write_pages(file, masks))


def _planes(values: Array) -> Array:
    """Any values `(…, H, W)` as planes `(P, H, W)`."""
    return values.reshape(-1, *values.shape[-2:])


def _suffix(pages: Sequence[object]) -> str:
    """Of the pictures that `write_pages` writes."""
    return ".png" if len(pages) == 1 else ".tif"


def _dicom_seg(task: Task, results: Sequence[Segmentation], wishes: Wishes) -> bytes:
    from ..formats.dicom.study import read_headers  # pydicom and highdicom are an extra
    from ..formats.dicom.write import write_seg

    assert task.stack
    labels = np.concatenate([_planes(r.labels) for r in results])
    record, contract = results[0].record, results[0].contract
    return write_seg(
        read_headers(task.stack), labels, contract, record["model"]["sha256"], wishes.dicom_seg, task.stack.placed,
        str(task.source), record["versions"]["onnxruntime"],
    )  # fmt: skip


def _write_record(
    task: Task, results: Sequence[Segmentation], loaded: Loaded, ms: Mapping[str, float], outputs: Mapping[str, str],
    facts: Mapping[str, Any], complete: bool,
) -> None:  # fmt: skip
    per_page = {stage: value / len(results) for stage, value in ms.items()}
    record = {"complete": complete, **stack_record([r.record for r in results], per_page, outputs), **facts}
    if task.channels:
        named = {"name": task.stem.name, "sha256": loaded.sha256, "files": [path.name for path in task.channels]}
        record["input"] = {**record["input"], **named}
    if task.stack:  # digests and counts; nothing that the files say of a person
        named = {"name": task.source.name or task.stem.name, "sha256": loaded.sha256}
        record["input"] = {**record["input"], **named, "files": len(task.files)}
        record["versions"] = {**record["versions"], **{name: version(name) for name in ("pydicom", "highdicom")}}
        record["dicom"] = {"placed": task.stack.placed, "no_seg": task.stack.no_seg}
    text = json.dumps(record, indent=2) + "\n"
    write_atomic(task.record, lambda file: file.write(text.encode()))


def _listed(task: Task) -> dict[str, str]:
    """Results that the record of an earlier run lists, by kind."""
    try:
        record = read_record(task.record)
    except SegError:
        return {}  # --overwrite on a file that is no record: ours replaces it
    return dict(record["outputs"]) if record else {}


def _stacked(pages: Sequence[Array]) -> Array:
    """`(K, *spatial)` of one page or volume, `(P, K, H, W)` of several pages."""
    if len({p.shape for p in pages}) > 1:
        raise SegError("the pages differ in size", "one size for a stack in NPY", "use --probabilities tiff")
    return pages[0] if len(pages) == 1 else np.stack(pages)


def _write_tiff(file: BinaryIO, planes: Sequence[Image.Image]) -> None:
    large = sum(p.width * p.height * 4 for p in planes) > CLASSIC_TIFF
    planes[0].save(file, "TIFF", save_all=True, append_images=planes[1:], big_tiff=large)
