"""Look at a whole data set, without stopping at the first fault."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from seg_runtime.support import DataError, OptionsError, SegError, counted, described_length

from ..data import (
    FEW_IMAGES,
    LABELS,
    Bar,
    Case,
    ClassValues,
    DataSet,
    Example,
    Groups,
    LeftOut,
    Report,
    SizeError,
    by_colour,
    sized,
)
from ..data.readers import read_data_set
from ..options import CheckOptions
from ..planning import (
    CaseStatistics,
    DataStatistics,
    MaskError,
    MaskSurvey,
    StrayValuesError,
    choose_channels,
    choose_classes,
    each,
    parse_classes,
    swapped,
)
from .copies import Copies
from .finding import Finding
from .oddities import OF_CLASSES, find_oddities
from .sheet import Thumbnail, thumbnail
from .sources import find_sources

_MOST_CLASSES = 12  # of masks that follow no rule, for the pictures only
_OUTPUT_PX = 388  # side of the output window of the usual network


@dataclass
class Inspection:
    """What was found in a data set.

    Attributes:
        root: folder of the data set.
        findings: what is suspicious, the worst first.
        notes: what the reader and the choices say.
        data: data set; None if it could not be read.
        statistics: statistics of the cases that could be read; None if there are none.
        masks: what the masks contain; None without masks.
        guessed: whether a training would not accept the classes, so that they only serve to look at the masks.
        thumbnails: small pictures, by the name of the case.
    """

    root: Path
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: DataSet | None = None
    statistics: DataStatistics | None = None
    masks: MaskSurvey | None = None
    guessed: bool = False
    thumbnails: dict[str, Thumbnail] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether a training refuses the data set."""
        return any(finding.fatal for finding in self.findings)

    def _add(self, kind: str, error: SegError, names: Sequence[str] = ()) -> None:
        self.findings.append(Finding.of_error(kind, error, names))


def examine(root: Path, options: CheckOptions, bar: Bar, pictures: bool) -> Inspection:
    """Look at a data set.

    Args:
        root: folder of the data set.
        options: how it is read.
        bar: see `Bar`.
        pictures: whether to make thumbnails.

    Raises:
        OptionsError: if an option has a value that it does not take.
    """
    found = Inspection(root)

    def say(text: str) -> None:
        if isinstance(text, LeftOut):
            files = "the file" if len(text.names) == 1 else "the files"
            found.findings.append(Finding("unmatched", text, f"rename {files}, or add what is missing", text.names))
        elif not text.startswith("reader: "):  # which the report shows as the layout
            found.notes.append(text.removeprefix("note: "))

    try:
        data = read_data_set(options.reader or "", root, say, options.stated)
    except OptionsError:
        raise
    except SegError as error:
        found._add("layout", error)
        found.findings.sort(key=lambda finding: not finding.fatal)
        return found
    failed: dict[str, SegError] = {}
    classes: tuple[ClassValues, ...] = ()
    if data.truth == LABELS:
        data, classes = _chosen(found, data, options, say, bar, failed)
    found.data = data
    _read(found, data, classes, bar, pictures, failed)
    _judge(found, options.group, say)
    found.findings.sort(key=lambda finding: not finding.fatal)
    return found


def _chosen(
    found: Inspection, data: DataSet, options: CheckOptions, say: Report, bar: Bar, failed: dict[str, SegError]
) -> tuple[DataSet, tuple[ClassValues, ...]]:
    """Choose the classes as a training does, and others to look at if a training would refuse the masks."""
    given = parse_classes(options.classes, say) if options.classes else data.classes
    masks = MaskSurvey.of(data, given, bar("reading the masks", len(data.cases)), failed)
    lost = [case for case in data.cases if case.name in failed]
    masks.data = replace(data, cases=tuple(case for case in data.cases if case.name not in failed))
    found.masks = masks
    for text in masks.notes:
        found.findings.append(Finding("note", text))
    try:
        if not masks.data.cases:
            raise DataError("no mask can be used")
        chosen, classes = choose_classes(masks, given, options.snap_values, say)
        return _with(chosen, lost), classes
    except OptionsError:
        raise
    except SegError as error:
        found.guessed = not by_colour(given)
        if exchanged := _swapped(data):
            found._add("same" if isinstance(exchanged, MaskError) else "swapped", exchanged)
            failed.clear()
        elif masks.data.cases:
            _add_problems(found, masks, given, error)
            if masks.strays(given) and not options.snap_values:
                return _past_strays(found, data, masks, given)
    return data, _any_classes(masks) if found.guessed else given


def _past_strays(
    found: Inspection, data: DataSet, masks: MaskSurvey, given: Sequence[ClassValues]
) -> tuple[DataSet, tuple[ClassValues, ...]]:
    """Look at masks as if their stray values, which stop a training, were those of the nearest class."""
    try:
        chosen, classes = choose_classes(masks, given, True, lambda text: None)
    except SegError:  # a problem that is known already
        return data, _any_classes(masks) if found.guessed else tuple(given)
    found.guessed = False
    chosen = replace(chosen, reader=data.reader)
    return _with(chosen, [case for case in data.cases if case.name not in masks.shapes]), classes


def _with(data: DataSet, others: Sequence[Case]) -> DataSet:
    """Add cases to a data set that could not be used for a choice."""
    return replace(data, cases=tuple(sorted([*data.cases, *others], key=lambda case: case.name)))


def _swapped(data: DataSet) -> DataError | None:
    try:
        return swapped(data)
    except SegError:  # of an image, which reading it reports
        return None


def _add_problems(found: Inspection, masks: MaskSurvey, given: Sequence[ClassValues], error: SegError) -> None:
    """Add all that is wrong with the masks; the error is the first of it, or of another kind."""
    problems: list[SegError] = list(masks.problems(given))
    if not problems or not isinstance(error, MaskError):
        problems.append(error)
    odd = sorted({name for at in masks.strays(given).values() for name in at.masks})
    for problem in problems:
        is_stray = isinstance(problem, StrayValuesError)
        found._add("stray-values" if is_stray else "masks", problem, odd if is_stray else ())


def _any_classes(masks: MaskSurvey) -> tuple[ClassValues, ...]:
    """Classes for all values of the masks: the most frequent values, each with those that are nearest to it."""
    counts = {value: at.pixels for value, at in masks.occurrences.items()} or dict.fromkeys(masks.values, 1)
    kept = sorted(sorted(counts, key=lambda value: -counts[value])[:_MOST_CLASSES])
    near: dict[int, list[int]] = {value: [] for value in kept}
    for value in masks.values:
        near[min(kept, key=lambda other: abs(other - value))].append(value)
    return ClassValues.named({str(value): values for value, values in near.items()})


def _read(
    found: Inspection,
    data: DataSet,
    classes: tuple[ClassValues, ...],
    bar: Bar,
    pictures: bool,
    failed: dict[str, SegError],
) -> None:
    """Read all images, each once, and collect their statistics, their errors and small pictures of them."""

    def take(case: Case) -> CaseStatistics:
        try:
            if case.name in failed:
                raise failed[case.name]
            example = case.read(classes)
        except SegError:
            if pictures:
                _show_alone(found, case)
            raise
        if pictures:
            found.thumbnails[case.name] = thumbnail(example, classes)
        return CaseStatistics.of(case, example, data, classes, _OUTPUT_PX)

    cases = each(data.cases, take, bar("reading the images", len(data.cases)), failed)
    if cases:
        found.statistics = DataStatistics(cases, data, classes, _OUTPUT_PX)
    _add_failed(found, failed)


def _show_alone(found: Inspection, case: Case) -> None:
    """Make a picture of an image whose ground truth cannot be used; none if it cannot be read either."""
    try:
        image = case.image()
    except SegError:
        return
    found.thumbnails[case.name] = thumbnail(Example(image, np.zeros(image.shape[:-1], np.uint8)), ())


def _add_failed(found: Inspection, failed: dict[str, SegError]) -> None:
    """Add a finding for each kind of error of cases and what it says, with the names of all."""
    if any(finding.kind in ("swapped", "same") for finding in found.findings):  # then no mask fits
        failed = {name: error for name, error in failed.items() if not isinstance(error, DataError)}
    kinds: dict[tuple[str, str], list[tuple[str, SegError]]] = {}
    for name, error in failed.items():
        kind = "ground-truth" if isinstance(error, DataError) else "unreadable"
        kind = "sizes" if isinstance(error, SizeError) else kind
        kinds.setdefault((kind, _without_names(error.problem, name)), []).append((name, error))
    for (kind, _), errors in kinds.items():
        errors.sort(key=lambda item: item[0])
        (_, first), names = errors[0], [name for name, _ in errors]
        more = f" ({counted(len(errors), 'case')} like this)" if len(errors) > 1 else ""
        error = type(first)(f"{first.problem}{more}", first.expected, first.advice)
        found._add(kind, error, names)


def _without_names(text: str, case: str) -> str:
    """Leave out files, the name of the case and numbers, so that equal problems of several cases have equal texts."""
    text = re.sub(rf"\S*{re.escape(case)}\S*", "", text)
    return re.sub(r"\d+", "#", " ".join(word for word in text.split() if "/" not in word and os.sep not in word))


def _judge(found: Inspection, pattern: str | None, say: Report) -> None:
    """Add what is suspicious in what could be read, and what else a training would refuse."""
    statistics = found.statistics
    if statistics is None:
        return
    copies = Copies.of(statistics.cases)
    left_out = {"sources"} if pattern else set()
    left_out |= set(OF_CLASSES) if found.guessed else set()
    found.findings += [finding for finding in find_oddities(statistics, copies) if finding.kind not in left_out]
    names = [case.name for case in statistics.cases]
    groups = Groups()
    try:
        groups = find_sources(names, copies, pattern, say if pattern else lambda text: None)
    except OptionsError:
        raise
    except SegError as error:
        found._add("groups", error)
    checks: tuple[Callable[[], object], ...] = (
        lambda: choose_channels(statistics), lambda: statistics.pixels, lambda: groups.drawn(names, 0.2, 0),
    )  # fmt: skip
    for check in checks:
        try:
            check()
        except SegError as error:
            found._add("refused", error)
    count = len(statistics.cases)
    if count == 1:
        found._add("too-few", DataError("there is only one image that can be used", "two or more", "add images"))
    elif count < FEW_IMAGES:
        found.notes.append(f"the score of a training with {count} images says little about new images")


def pixel_sizes(statistics: DataStatistics) -> list[str]:
    """Format the pixel sizes that the files or the user state, each once, or why what the files state is none."""
    known = {case.acquisition.spacing_mm for case in statistics.cases if case.acquisition.spacing_mm}
    doubts = {case.acquisition.spacing_doubt for case in statistics.cases} - {""}
    sizes = [" × ".join(map(described_length, reversed(spacing))) for spacing in sorted(known)]
    return sizes or [f"unknown ({doubt})" for doubt in sorted(doubts)]


def sizes_of(statistics: DataStatistics) -> dict[str, int]:
    """Count the images of each size, the most frequent first."""
    counts: dict[str, int] = {}
    for case in statistics.cases:
        counts[sized(case.shape)] = counts.get(sized(case.shape), 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
