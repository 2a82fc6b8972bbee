"""What to segment and where its results go: files, folders opened, DICOM files gathered into stacks."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.channels import group
from ..formats.dicom import SNIFFED, is_dicom
from ..formats.maps import SUFFIX as MAP
from ..formats.nifti import is_nifti
from ..formats.opening import IMAGES, is_readable, stem_of
from ..formats.structures import SUFFIXES as STRUCTURES
from ..formats.structures import is_structure
from ..model.input import ChannelFile
from ..model.limits import MAX_PIXELS
from ..support.errors import ImageError, SegError

if TYPE_CHECKING:
    from ..formats.dicom.study import Stack

KINDS = ("mask", "overlay", "probabilities", "seg", "values")  # of results: NAME_mask.png and so on
PROBABILITIES = {"npy": ".npy", "tiff": ".tif", "map": MAP}  # suffix of each form
KEEP = "pass --overwrite to replace it, or choose another --out"
Failures = list[tuple[Path, SegError]]


@dataclass(frozen=True)
class Wishes:
    """What to write, and how."""

    overlay: bool = False
    probabilities: str = ""
    """Empty, `npy`, `tiff` or, of structures, `map`."""
    overwrite: bool = False
    jobs: int = 2
    max_pixels: int = MAX_PIXELS
    dicom_seg: str = "binary"
    """Form of the answer to DICOM images: `binary` or `labelmap`."""
    answer: str = "mask"
    """What the model answers: `mask`, or `values` of a regression."""


@dataclass(frozen=True)
class Task:
    """One input file, or one DICOM stack, and the stem of its results: `STEM_mask.png`, `STEM.json`, …"""

    source: Path
    """The file; of a stack the folder that was named, or its one file; of channels the first one's file."""
    stem: Path
    stack: Stack | None = None
    channels: tuple[Path, ...] = ()
    """Files of one image's channels, in order; empty where one file holds them all."""

    @property
    def record(self) -> Path:
        """Where its record lies; `complete` in it says that the rest is whole."""
        return self.stem.with_name(self.stem.name + ".json")

    @property
    def volume(self) -> bool:
        """Whether it is a NIfTI volume, which is answered by one of its own kind."""
        return self.stack is None and is_nifti(self.source)

    @property
    def structure(self) -> bool:
        """Whether it is a structure of atoms, which is answered by a map."""
        return self.stack is None and is_structure(self.source)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is read."""
        return self.stack.files if self.stack else self.channels or (self.source,)

    def result(self, kind: str, suffix: str) -> Path:
        """Path of one result, such as `STEM_mask.png`; `probabilities_npy` is `STEM_probabilities.npy`."""
        return self.stem.with_name(f"{self.stem.name}_{kind.partition('_')[0]}{suffix}")

    def kinds(self, wishes: Wishes) -> dict[str, tuple[str, ...]]:
        """Kinds of results asked for, with the suffixes that each may have (one page or several)."""
        pictures = (".png", ".tif")
        asked: dict[str, tuple[str, ...]] = {wishes.answer: pictures if wishes.answer == "mask" else (".tif",)}
        if self.volume:
            asked = {"mask": (".nii.gz",)}
        if self.structure:
            asked = {"mask": (MAP,)}
        if self.stack and not self.stack.no_seg:
            asked = {f"seg_{wishes.dicom_seg}": (".dcm",)}
        if wishes.overlay:
            asked["overlay"] = pictures
        if wishes.probabilities:
            asked[f"probabilities_{wishes.probabilities}"] = (PROBABILITIES[wishes.probabilities],)
        return asked

    def check(self, wishes: Wishes) -> None:
        """Refuse an answer, or a form of the probabilities, that this input cannot have.

        Raises:
            SegError: says which it can have.
        """
        if wishes.answer == "values" and (self.volume or self.stack):
            kind = "a NIfTI volume" if self.volume else "DICOM"
            came = f"{self.source} is {kind}, where a regression has no place for values"
            raise ImageError(came, "PNG, JPEG, BMP or TIFF", "convert it")
        asked = wishes.probabilities
        if asked == "tiff" and (self.volume or self.structure):
            what, wanted = ("volume", "npy") if self.volume else ("structure", "map or npy")
            fix = "they lie in the order of its voxels"
            raise SegError(f"--probabilities tiff for the {what} {self.source}", wanted, fix)
        if asked == "map" and not self.structure:
            raise SegError(f"--probabilities map for {self.source}", "a structure", "choose npy, or tiff for images")


def find_tasks(
    inputs: Sequence[Path],
    out: Path,
    recursive: bool,
    channel_files: Sequence[ChannelFile] = (),
    structures: bool = False,
) -> tuple[list[Task], Failures]:
    """What to segment, folders opened, and inputs that cannot be: missing, empty folders, clashing names.

    What an earlier run wrote is never an input, so that `seg-run *.png` can be repeated. DICOM files of a folder are
    gathered into stacks, one task each; DICOM files that are named are tasks of their own.

    Args:
        inputs: files and folders.
        out: where results go; a folder's own structure is kept below it.
        recursive: look into folders of folders.
        channel_files: of the contract.
        structures: whether the model takes structures. Of a folder only what it takes is looked at: images, or structures.
    """
    tasks: dict[Path, Task] = {}
    failed: Failures = []
    opened: list[Task] = []
    for given in inputs:
        try:
            found, odd = (
                _open_folder(given, out, recursive, structures) if _is_folder(given) else _open_file(given, out)
            )
        except SegError as error:  # the extra `dicom` is missing
            found, odd = [], [(given, error)]
        failed.extend(odd)
        opened.extend(found)
    if channel_files:
        opened, odd = _by_case(opened, channel_files, set(inputs))
        failed.extend(odd)
    for task in opened:
        other = tasks.setdefault(task.stem, task)
        if [os.path.realpath(f) for f in other.files] != [os.path.realpath(f) for f in task.files]:
            clash = f"{task.source} and {other.source} would write the same {task.stem.name}_mask"
            failed.append((task.source, ImageError(clash, "one name each", "run one of them with another --out")))
    sources = {os.path.realpath(file) for task in tasks.values() for file in task.files}
    suffixes = (".png", ".tif", ".npy", ".dcm", ".nii.gz", MAP)
    for task in list(tasks.values()):
        targets = [task.record, *(task.result(kind, suffix) for kind in KINDS for suffix in suffixes)]
        if hit := next((t for t in targets if os.path.realpath(t) in sources), None):
            came = f"{task.source} would write over {hit}, which is an input of this run"
            failed.append((task.source, ImageError(came, "results apart from the images", "choose another --out")))
            del tasks[task.stem]
    return list(tasks.values()), failed


def _by_case(
    tasks: Sequence[Task], channel_files: Sequence[ChannelFile], named: Container[Path]
) -> tuple[list[Task], Failures]:
    """Files of one case as one task, which is named and placed like them without the channel.

    What else lies beside a whole case in a folder, such as its ground truth `CASE_seg`, is passed over unless it is named.
    """
    places = {task.source: task.stem.parent for task in tasks if not task.stack}
    cases, failed = group(list(places), channel_files)
    failed = [odd for odd in failed if odd[0] in named or not _goes_with(odd[0], cases, channel_files)]
    several = {case: files if len(files) > 1 else () for case, files in cases.items()}
    grouped = [Task(files[0], places[files[0]] / case.name, channels=several[case]) for case, files in cases.items()]
    return [task for task in tasks if task.stack] + grouped, failed


def _goes_with(path: Path, cases: Iterable[Path], channel_files: Sequence[ChannelFile]) -> bool:
    """Whether a file that is no channel bears the name of one of these cases."""
    stem = stem_of(path)
    channel = any(stem.endswith(file.ending) for file in channel_files)
    marks = ("_", "-", ".", " ")
    names = [case.name for case in cases if case.parent == path.parent]
    return not channel and any(stem.startswith(tuple(name + mark for mark in marks)) for name in names)


def _open_file(given: Path, out: Path) -> tuple[list[Task], Failures]:
    if _is_result(given):
        return [], []
    if not _holds_dicom(given):
        return [Task(given, out / stem_of(given))], []
    from ..formats.dicom.study import find_stacks

    stacks, failed = find_stacks([given], apart=True)
    return [Task(given, out / given.stem, stack) for stack in stacks], failed


def _open_folder(folder: Path, out: Path, recursive: bool, structures: bool) -> tuple[list[Task], Failures]:
    pictures: list[Path] = []
    dicoms: list[Path] = []
    seen = False
    for path in _files(folder, recursive):
        dicom = not structures and _holds_dicom(path)
        if not dicom and not is_readable(path, structures):
            continue
        seen = True
        if not _is_result(path):
            (dicoms if dicom else pictures).append(path)
    tasks = [Task(path, out / path.parent.relative_to(folder) / stem_of(path)) for path in pictures]
    failed: Failures = []
    if dicoms:
        found, failed = _stacks(folder, dicoms, out)
        tasks += found
    if not seen or (dicoms and not tasks and not failed):
        hint = "" if recursive else " or pass --recursive"
        what, known = ("structures", STRUCTURES) if structures else ("images", IMAGES)
        came = f"{folder} has no {what} ({', '.join(known)})"
        failed.append((folder, ImageError(came, "", f"name another folder{hint}")))
    return tasks, failed


def _stacks(folder: Path, dicoms: Sequence[Path], out: Path) -> tuple[list[Task], Failures]:
    """Tasks of a study. Their names come from folder and files alone: what a DICOM file says never becomes a path."""
    from ..formats.dicom.read import NoPictureError
    from ..formats.dicom.study import find_stacks

    stacks, failed = find_stacks(dicoms)
    base = folder.resolve().name or "study"
    several = sum(s.placed for s in stacks) > 1
    tasks, number = [], 0
    for stack in stacks:
        if stack.placed:
            number += 1
            tasks.append(Task(folder, out / (f"{base}_series{number}" if several else base), stack))
        else:
            path = stack.files[0]
            tasks.append(Task(path, out / path.parent.relative_to(folder) / path.stem, stack))
    return tasks, [f for f in failed if not isinstance(f[1], NoPictureError)]  # reports and plans lie beside images


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _files(folder: Path, recursive: bool) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        if not recursive:
            folders.clear()
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))


def _holds_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content; one that cannot be read is left to whoever reads it."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            return False
        with path.open("rb") as file:
            return is_dicom(file.read(SNIFFED))
    except (OSError, ValueError):
        return False


def _is_result(path: Path) -> bool:
    """Whether the record beside it says that an earlier run wrote this file."""
    stem = stem_of(path)
    for what in KINDS:
        if stem.endswith(f"_{what}"):
            try:
                record = read_record(path.with_name(stem.removesuffix(f"_{what}") + ".json"))
            except SegError:
                return False
            return record is not None and path.name in record["outputs"].values()
    return False


def read_record(path: Path) -> dict[str, Any] | None:
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
