"""Segment DICOM series in a program: files or datasets in memory become DICOM SEG datasets."""

from __future__ import annotations

import copy
import io
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .formats import FORMATS, ReadOptions, SourceOptions, head_of, read_bytes
from .formats.dicom import SEG_FORMS, Dataset, NoPictureError, Seg, Stack, discreet, find_stacks
from .pipeline import Progress
from .segmenter import Segmenter
from .support import CancelledError, ImageError, OptionsError, list_files


def segment_series(
    images: str | Path | Dataset | Iterable[str | Path | Dataset],
    segmenter: Segmenter,
    *,
    form: str = SEG_FORMS[0],
    options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> list[Dataset]:
    """Segment DICOM images and return a DICOM SEG for each series, or for each phase of a series.

    Nothing is written to disk. The SEGs are those that seg-run writes, in the order of the images. What seg-run prints as
    a note is a `UserWarning`.

    >>> with Segmenter("ct.onnx") as segmenter:  # doctest: +SKIP
    ...     [seg] = segment_series("study", segmenter)
    ...     seg.save_as("study_seg.dcm")

    Args:
        images: files, folders, which are searched with their subfolders, or pydicom datasets with pixels. Datasets are not
            changed. Objects that are not images, such as reports, are passed over, and so are files in folders that do not
            look like DICOM files.
        segmenter: the model.
        form: `binary` or `labelmap`.
        options: what to permit in a series.
        progress: called with the number of windows done and their total, from the thread of the call.
        cancel: set it, in another thread, to stop after the current window.

    Raises:
        ImageError: a series cannot be segmented, or no DICOM SEG can refer to it; nothing is returned then. To segment the
            others, pass one series at a time.
        CancelledError: `cancel` is set.
        OptionsError: `form` is unknown.
        SegError: pydicom or highdicom is not installed.
    """
    if form not in SEG_FORMS:
        raise OptionsError(f"form is {form!r}", " or ".join(SEG_FORMS), "choose one of these")
    stacks = _stacks(images, options)
    frames, done = sum(stack.frames for stack in stacks), 0
    found = []
    for stack in stacks:
        _check_cancelled(cancel)
        results = []
        for page in _pages(stack, segmenter, options):
            watch = _watch(progress, cancel, done, frames)
            results.append(segmenter.segment_page(page, max_pixels=options.max_pixels, progress=watch))
            results[-1].free()  # a series may have hundreds of frames
            done += 1
        _check_cancelled(cancel)
        unlike = [text for result in results for text in result.record["warnings"]]
        for text in [*stack.notes, *unlike[:1]]:  # where seg-run prints a note
            warnings.warn(f"{stack.files[0]}: {text}", stacklevel=2)
        labels = np.concatenate([r.labels.reshape(-1, *r.labels.shape[-2:]) for r in results])
        records = [r.record for r in results]
        found.append(Seg.of(stack, labels, records, segmenter.contract, form, str(stack.files[0])).dataset())
    return found


def _stacks(images: Any, options: SourceOptions) -> list[Stack]:
    """Return the stacks of images; raises the errors of `segment_series` about them."""
    single = isinstance(images, (str, Path)) or hasattr(images, "SOPClassUID")  # a dataset is iterable, too
    files, contents = _listed([images] if single else list(images))
    stacks, failed = find_stacks(files, options, contents=contents)
    if broken := [error for _, error in failed if not (stacks and isinstance(error, NoPictureError))]:
        raise broken[0]
    if not stacks:
        raise ImageError("there are no DICOM images", "at least one", "check the paths")
    if odd := next((stack for stack in stacks if stack.no_seg), None):
        raise ImageError(f"no DICOM SEG can refer to {odd.files[0]}, because {odd.no_seg}", "", "use seg-run for it")
    return stacks


def _listed(given: Sequence[str | Path | Dataset]) -> tuple[list[Path], dict[Path, bytes]]:
    """Return the paths of files, and of datasets with their contents."""
    files: list[Path] = []
    contents: dict[Path, bytes] = {}
    for number, item in enumerate(given, 1):
        if isinstance(item, (str, Path)):
            path = Path(item)
            inside = list_files(path, recursive=True) if path.is_dir() else [path]
            files += [f for f in inside if f == path or FORMATS.of(head_of(f), f) is FORMATS.get("dicom")]
        else:
            name = Path(f"dataset {number}")
            contents[name] = _encoded(item, str(name))
            files.append(name)
    return files, contents


def _encoded(dataset: Dataset, name: str) -> bytes:
    """Return a dataset as the content of a file. One without a transfer syntax is taken as not compressed."""
    file = io.BytesIO()
    with discreet(name):
        plain = copy.copy(dataset)
        if known := getattr(dataset, "file_meta", None):
            plain.file_meta = copy.copy(known)
        plain.ensure_file_meta()
        if "TransferSyntaxUID" not in plain.file_meta:
            plain.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        plain.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _pages(stack: Stack, segmenter: Segmenter, options: SourceOptions) -> Iterable[Any]:
    how = ReadOptions.of(segmenter.contract, options.max_pixels)
    for path in stack.files:
        data = stack.contents[path] if path in stack.contents else read_bytes(path)
        yield from FORMATS.get("dicom").read(data, str(path), how)


def _watch(progress: Progress | None, cancel: threading.Event | None, before: int, frames: int) -> Progress:
    """Return the progress of one frame among others of the same size."""

    def watch(done: int, total: int) -> None:
        _check_cancelled(cancel)
        if progress:
            progress(before * total + done, frames * total)

    return watch


def _check_cancelled(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("cancelled", "", "start again for a result")
