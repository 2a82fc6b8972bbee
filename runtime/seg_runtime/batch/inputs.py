"""Find the inputs of a run and the paths of their results: files, folders, DICOM series and channel files."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..answers import OVERLAY, OVERLAY_OF_OBJECTS, answer_of
from ..formats import FORMATS, Failures, Format, Output, Source, SourceOptions, group, head_of, stem_of
from ..model import ChannelFile, Contract
from ..outputs import MEASURES, object_file, output_for
from ..support import ImageError, SegError, list_files, require_extra
from .records import EarlierResults

_MOST_LOOKED_AT = 1000  # files of a subfolder that is not searched


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Options of a batch run.

    Attributes:
        overlay: also write overlays; None writes those of formats that are drawn by default.
        objects: also write the objects of a model that predicts classes.
        smallest_object: leave out objects of fewer px of a model that predicts classes.
        measure: also write the measures of objects.
        save: names of further files of objects, see `outputs.OUTPUTS`.
        probabilities: format of the probabilities, `npy`, `tiff` or `map`; empty for none.
        forms: forms of the results, such as `labelmap` or `palette`; each format takes the one that it has.
        overwrite: replace existing results.
        jobs: number of threads that decode and encode.
        files: what to permit in files that belong together, and how many px a file may have.
        spacing_mm: sides of a pixel, see `Page.with_spacing`; empty takes what the files state.
    """

    overlay: bool | None = False
    objects: bool = False
    smallest_object: int = 0
    measure: bool = False
    save: tuple[str, ...] = ()
    probabilities: str = ""
    forms: tuple[str, ...] = ()
    overwrite: bool = False
    jobs: int = 2
    files: SourceOptions = SourceOptions()  # noqa: RUF009 - frozen
    spacing_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the names in `save`, and that objects can be numbered.

        Raises:
            OptionsError: one is unknown.
            SegError: a package that they need is not installed.
        """
        for name in self.save:
            object_file(name)
        if self.numbers_objects:
            require_extra("objects", "skimage")

    @property
    def numbers_objects(self) -> bool:
        """Whether the objects of a model that predicts classes are numbered."""
        return self.objects or self.measure or bool(self.save)

    @property
    def measures(self) -> bool:
        """Whether objects are measured, for any file."""
        return self.measure or any(object_file(name).measured for name in self.save)


@dataclass(frozen=True)
class Task:
    """One source and its results: `STEM_mask.png`, `STEM.json`, …

    Attributes:
        source: the input.
        stem: start of the paths of its results.
        outputs: the results to write.
    """

    source: Source
    stem: Path
    outputs: tuple[Output, ...]

    @property
    def record(self) -> Path:
        """Path of the record; its entry `complete` says that all other results are complete."""
        return self.stem.with_name(self.stem.name + ".json")

    def path(self, output: Output, suffix: str) -> Path:
        """Return the path of a result: `STEM_mask.png`, or `STEM_probabilities.npy` for the key `probabilities_npy`."""
        return self.stem.with_name(f"{self.stem.name}_{output.key.partition('_')[0]}{suffix}")

    def paths(self, output: Output) -> list[Path]:
        """Return all paths that a result may have, for one page or several."""
        return [self.path(output, suffix) for suffix in output.suffixes]


def find_tasks(
    inputs: Sequence[Path], out: Path, recursive: bool, contract: Contract, options: BatchOptions,
    ignored: list[Path] | None = None,
) -> tuple[list[Task], Failures]:  # fmt: skip
    """Return the tasks of a run and the inputs that fail: missing files, empty folders, clashing names.

    The results of an earlier run are never inputs, so that you can repeat `seg-run *.png`.

    Args:
        inputs: files and folders.
        out: output folder; the results of a folder keep its structure.
        recursive: search subfolders.
        contract: contract of the model; in a folder, only files of formats that the model accepts are considered.
        options: options of the run.
        ignored: receives the files of the folders that are neither inputs nor results, and subfolders that are not
            searched.
    """
    sources, failed = _find_sources(inputs, recursive, contract, [] if ignored is None else ignored, options.files)
    tasks: dict[Path, Task] = {}
    for source in sources:
        try:
            task = Task(source, out / source.stem, tuple(_outputs(source, contract, options)))
        except SegError as error:
            failed.append((source.path, error))
            continue
        other = tasks.setdefault(task.stem, task)
        if _real(other.source.files) != _real(source.files):
            problem = f"{source.path} and {other.source.path} would write the same {task.stem.name}.json"
            failed.append((source.path, ImageError(problem, "", "run one of them with another --out")))
    given = [*(file for source in sources for file in source.files), *(path for path, _ in failed)]
    read = set(_real(given))  # including failed inputs, which no result may overwrite
    owners = {task.record: task for task in tasks.values()}
    for task in list(tasks.values()):
        written = [task.record, *(path for output in task.outputs for path in task.paths(output))]
        problem = ""
        if hit := next((path for path in written if os.path.realpath(path) in read), None):
            problem = f"the results of {task.source.path} would overwrite {hit}, which is an input of this run"
        elif hit := next((path for path in written if owners.get(path, task) is not task), None):
            problem = (
                f"the results of {task.source.path} would overwrite {hit}, the record of {owners[hit].source.path}"
            )
        if problem:
            failed.append((task.source.path, ImageError(problem, "", "choose another --out")))
            del tasks[task.stem]
    return list(tasks.values()), failed


def _outputs(source: Source, contract: Contract, options: BatchOptions) -> Iterable[Output]:
    """Yield the results to write for a source. Raises SegError for a result that its format does not support."""
    answer = answer_of(contract)
    yield from answer.outputs(source, options.forms)
    numbered: list[Output] = []
    if options.objects and not contract.answer.separated:
        numbered += answer.outputs(source, options.forms, "objects")
    if options.measure:
        numbered.append(MEASURES)
    numbered += [output_for(name, source, contract) for name in dict.fromkeys(options.save)]
    drawn = source.format.drawn if options.overlay is None else options.overlay
    outlined = bool(numbered) and not contract.answer.separated
    if drawn and outlined:
        numbered.append(OVERLAY_OF_OBJECTS)
    least = 0 if contract.answer.separated else options.smallest_object
    for output in numbered:  # the key says which objects an earlier run wrote
        yield replace(output, key=f"{output.key}_{least}") if least else output
    if drawn and not outlined:
        yield OVERLAY
    if form := options.probabilities:
        forms = source.format.probabilities()
        if form not in forms:
            problem = f"{source.path} is {source.format.title}, which does not support --probabilities {form}"
            raise SegError(problem, " or ".join(forms), "choose one of these" if len(forms) > 1 else "choose this one")
        yield forms[form]


def _find_sources(
    inputs: Sequence[Path], recursive: bool, contract: Contract, ignored: list[Path], options: SourceOptions
) -> tuple[list[Source], Failures]:
    found: list[Source] = []
    failed: Failures = []
    results = EarlierResults()
    for given in inputs:
        try:
            if _is_folder(given):
                sources, odd = _open_folder(given, recursive, contract, results, ignored, options)
            else:
                sources, odd = _open_file(given, contract, results, options)
        except SegError as error:  # a package is missing or the folder cannot be read
            sources, odd = [], [(given, error)]
        found += sources
        failed += odd
    if contract.input.channel_files:
        found, odd = _by_case(found, contract.input.channel_files, set(inputs))
        failed += odd
    return found, failed


def _by_case(
    sources: Sequence[Source], channel_files: Sequence[ChannelFile], named: Container[Path]
) -> tuple[list[Source], Failures]:
    """Join the files of each case into one source, named like the files without the channel. Series are not changed.

    Other files of a complete case in a folder, such as its ground truth `CASE_seg`, are skipped unless they are named.
    """
    alone = {source.path: source for source in sources if source.joinable}
    cases, failed = group(list(alone), channel_files)
    failed = [odd for odd in failed if odd[0] in named or not _goes_with(odd[0], cases, channel_files)]
    grouped = [
        replace(
            alone[files[0]], stem=alone[files[0]].stem.with_name(case.name), files=files,
            channel_files=tuple(channel_files) if len(files) > 1 else (),
        )
        for case, files in cases.items()
    ]  # fmt: skip
    return [source for source in sources if not source.joinable] + grouped, failed


def _goes_with(path: Path, cases: Iterable[Path], channel_files: Sequence[ChannelFile]) -> bool:
    """Return whether a file that is not a channel has the name of one of these cases."""
    stem = stem_of(path)
    channel = any(stem.endswith(file.ending) for file in channel_files)
    marks = ("_", "-", ".", " ")
    names = [case.name for case in cases if case.parent == path.parent]
    return not channel and any(stem.startswith(tuple(name + mark for mark in marks)) for name in names)


def _open_file(
    given: Path, contract: Contract, results: EarlierResults, options: SourceOptions
) -> tuple[list[Source], Failures]:
    if given in results:
        return [], []
    if not os.path.lexists(given):
        known = " or ".join(f.title for f in FORMATS.of_model(contract))
        raise ImageError(f"{given} does not exist", known, "check the path")
    head = head_of(given)
    found = FORMATS.of(head, given)
    if head:  # an empty or unreadable file is reported when it is read
        FORMATS.check(found, head, str(given), contract)
    return found.sources([given], None, options)


def _open_folder(
    folder: Path,
    recursive: bool,
    contract: Contract,
    results: EarlierResults,
    ignored: list[Path],
    options: SourceOptions,
) -> tuple[list[Source], Failures]:
    formats = FORMATS.of_model(contract)
    files: dict[Format, list[Path]] = {}
    places: dict[Path, int] = {}
    seen = False
    failed: Failures = []
    for place, path in enumerate(list_files(folder, recursive, failed)):
        if (found := _format_in_folder(path, formats)) is None:
            if path not in results and not results.is_record(path):
                ignored.append(path)
            continue
        seen = True
        if path not in results:
            files.setdefault(found, []).append(path)
            places[path] = place
    if not recursive:
        ignored += [path for path in sorted(folder.iterdir()) if _has_images(path, formats, results)]
    sources: list[Source] = []
    for found, paths in files.items():
        more, odd = found.sources(paths, folder, options)
        sources += more
        failed += odd
    last = len(places)
    sources.sort(
        key=lambda source: min(places.get(file, last) for file in source.files)
    )  # formats may take turns in a folder
    if not failed and (not seen or (files and not sources)):
        known = ", ".join(suffix for f in formats for suffix in f.suffixes)
        advice = "choose another folder" if recursive else "choose another folder or pass --recursive"
        if (inner := folder / "images").is_dir():  # a data set
            advice = f"did you mean {inner}?"
        failed.append((folder, ImageError(f"{folder} has no images ({known})", "", advice)))
    return sources, failed


def _has_images(path: Path, formats: Sequence[Format], results: EarlierResults) -> bool:
    """Return whether a path is a folder, not hidden, with files that are named like images and are not results."""
    if path.name[0] == "." or not _is_folder(path):
        return False
    files = islice(path.rglob("*"), _MOST_LOOKED_AT)
    return any(f.named(file) and file not in results for file in files for f in formats)


def _format_in_folder(path: Path, formats: Sequence[Format]) -> Format | None:
    """Return the format of a file in a folder, from its content if it is named like an image; None for other files."""
    head = head_of(path) if any(f.by_content for f in formats) else b""
    if not any(f.named(path) or (f.by_content and FORMATS.recognised(f, head)) for f in formats):
        return None
    found = FORMATS.of(head or head_of(path), path)
    return found if found in formats else None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


def _real(files: Iterable[Path]) -> list[str]:
    return [os.path.realpath(file) for file in files]
