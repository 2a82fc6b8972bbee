"""Group DICOM files into stacks of images in spatial order.

A stack corresponds to one DICOM SEG: the images of a series with the same size, orientation, spacing and frame of
reference, each at another position along the normal of their planes. A second image at the same position, such as
another phase of the heart, belongs to another stack.

A series is refused as a whole if something is wrong with one of its files, since nobody sees in a result that a slice is
missing, or belongs to another patient. The options of `SourceOptions` permit it, and the stack then has a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...support import ImageError, counted, named, require_extra
from ..format import Failures, SourceOptions
from .grid import Grid, grid_of
from .images import Contents, DicomImage
from .phases import WORDS, Phase, phases, shown
from .planes import MERGED_MM, Planes, right_angled
from .series import ImageSeries, by_series, check_series, read_images, without_localizers

_ACQUISITION = WORDS.index("AcquisitionNumber")
_NEAR = 0.1  # of the distance between slices, within which an image is the next slice
_SHIFT_PX = 0.5  # largest shift of a pixel by the mean of direction cosines
_SHOWN_PX = 0.05  # shift that is worth a note


@dataclass(frozen=True, eq=False)
class Stack:
    """Images of one series on one grid.

    Attributes:
        images: by increasing position along the normal; one image if they have no position.
        sides: `(6,)` direction cosines of rows and columns, common to all slices; None without a position.
        no_seg: why a DICOM SEG cannot reference the images; empty if it can.
        notes: what the user should know about the images, as clauses.
        number: number of the stack in its series, from 1; 0 if it is not known, as for a file that the user names.
        phase: what distinguishes it from the other stacks of its series; empty if it is the only one.
        rank: its number among all placed stacks, including those that are refused, and how many these are.
        contents: contents of files that are in memory.
    """

    images: tuple[DicomImage, ...]
    sides: tuple[float, ...] | None = None
    no_seg: str = ""
    notes: tuple[str, ...] = ()
    number: int = 0
    phase: str = ""
    rank: tuple[int, int] = (1, 1)
    contents: Contents = field(default_factory=dict, repr=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the images, in order."""
        return tuple(image.path for image in self.images)

    @property
    def frames(self) -> int:
        """Number of frames in all files."""
        return sum(image.frames for image in self.images)

    @property
    def placed(self) -> bool:
        """Whether the images have a position in the patient."""
        return self.sides is not None


def find_stacks(
    files: Sequence[Path], options: SourceOptions = SourceOptions(), *, apart: bool = False,  # noqa: B008 - frozen
    contents: Contents = {},  # noqa: B006 - never changed
) -> tuple[list[Stack], Failures]:  # fmt: skip
    """Return the stacks of DICOM files, in the order of their first files, and the files that fail.

    A copy of an earlier file is skipped.

    Args:
        files: DICOM files.
        options: what to permit.
        apart: whether each file is a separate stack, as for files named by the user.
        contents: contents of files that are in memory instead of on disk.
    """
    require_extra("dicom", "pydicom", "highdicom")  # one error if they are missing, not one per file
    images, failed, defects = read_images(files, contents)
    if apart:
        alone = [_alone(image, image.planes) for image in images]
        failed += [(path, error) for path, error, _ in defects]
        return _settled(alone, failed, options, contents)
    images, localizers = without_localizers(images)
    failed += localizers
    found: list[Stack] = []
    refused: list[Path] = []
    for series in by_series(images, defects, failed).values():
        try:
            check_series(series, options, contents)
            found += _stacks(series, options)
        except ImageError as error:
            refused.append(min(image.path for image in series.images))
            failed.append((refused[-1], error))
    order = sorted([*refused, *(min(stack.files) for stack in found if stack.placed)])
    ranks = {first: (rank, len(order)) for rank, first in enumerate(order, 1)}
    found = [replace(s, rank=ranks[min(s.files)]) if s.placed else s for s in found]
    return _settled(_continued(found), failed, options, contents)


def _continued(stacks: Sequence[Stack]) -> list[Stack]:
    """Note single images that continue the slices of another series, as if their series UID were damaged."""
    notes: dict[int, list[str]] = defaultdict(list)
    wholes = [index for index, stack in enumerate(stacks) if len(stack.images) > 1]
    for index, single in enumerate(stacks):
        if not single.placed or single.frames > 1:
            continue
        for other in wholes:
            if _continues(single, stacks[other]):
                name, whole = single.files[0].name, min(stacks[other].files).name
                notes[other].append(f"{name}, of another series, continues its slices")
                notes[index].append(f"its only image continues the slices of the series of {whole}")
    return [replace(s, notes=(*s.notes, *notes[i])) if i in notes else s for i, s in enumerate(stacks)]


def _continues(single: Stack, whole: Stack) -> bool:
    one, first = _planes(single.images[0]), _planes(whole.images[0])
    if one.series == first.series or not one.lies_like(first):
        return False
    start, second, last = (_planes(whole.images[i]).positions_mm[0] for i in (0, 1, -1))
    step = second - start
    away = min(float(np.abs(one.positions_mm[0] - end).max()) for end in (start - step, last + step))
    return away <= _NEAR * float(np.linalg.norm(step))


def _stacks(series: ImageSeries, options: SourceOptions) -> list[Stack]:
    """Divide the images of a series into stacks, in the order of their first files.

    Raises:
        ImageError: nothing tells apart the images at the same position, and `allow_irregular` is not set.
    """
    grouped: list[list[DicomImage]] = []
    found: list[Stack] = []
    for image in series.images:
        if image.frames > 1 or isinstance(image.planes, str):
            found.append(_alone(image, image.planes))
            continue
        group = next((g for g in grouped if image.planes.joins(_planes(g[0]))), None)
        if group is None:
            grouped.append(group := [])
        group.append(image)
    for group in grouped:
        divided = [part for whole in _ordered(group) for part in _slabs(*whole)]
        unsure = {len(members) for phase, members in divided if not phase.sure}
        if len(unsure) > 1 and not options.allow_irregular:
            problem = f"the series of {min(i.path for i in group)} has several images at some positions"
            expected = "an element such as TemporalPositionIdentifier or AcquisitionNumber that tells them apart"
            raise ImageError(problem, expected, "export one phase at a time, or pass --allow-irregular")
        found += [_stack(members, phase) for phase, members in divided]
    return _numbered(sorted(found, key=lambda stack: min(stack.files)), tuple(series.dropped))


def _numbered(stacks: Sequence[Stack], dropped: tuple[str, ...]) -> list[Stack]:
    """Number the stacks of a series that have a position, and note that there are several."""
    count, number, found = sum(stack.placed for stack in stacks), 0, []
    for stack in stacks:
        notes = (*stack.notes, *dropped)
        if stack.placed:
            number += 1
            if count > 1:
                which = f" ({stack.phase})" if stack.phase else ""
                notes = (f"number {number} of {count} groups of images in its series{which}", *notes)
        found.append(replace(stack, number=max(1, number), notes=notes))
    return found


def _ordered(group: Sequence[DicomImage]) -> list[tuple[Phase, list[DicomImage]]]:
    """Sort images by their position along the normal, and divide those at the same positions into phases."""
    first = _planes(group[0]).sides
    normal = np.cross(first[:3], first[3:])
    heights = [float(_planes(image).positions_mm[0] @ normal) for image in group]
    ranked: list[DicomImage] = []
    level, last = -1, float("-inf")
    for index in sorted(range(len(group)), key=lambda i: (heights[i], group[i].number, group[i].path)):
        if heights[index] - last >= MERGED_MM:
            level, last = level + 1, heights[index]
        ranked.append(replace(group[index], level=level))
    return phases(ranked)


def _slabs(phase: Phase, images: list[DicomImage]) -> list[tuple[Phase, list[DicomImage]]]:
    """Divide images that are not on one regular grid into acquisitions that are, such as two slabs of a body."""
    numbers: dict[str, list[DicomImage]] = defaultdict(list)
    for image in images:
        numbers[image.facts[_ACQUISITION]].append(image)
    parts = list(numbers.values())
    if len(parts) < 2 or _grid(images) == Grid() or any(len(p) < 2 or _grid(p) != Grid() for p in parts):
        return [(phase, images)]
    texts = [shown(WORDS[_ACQUISITION], number, place) for place, number in enumerate(numbers, 1)]
    return [
        (Phase(", ".join(filter(None, (phase.text, text))), phase.sure), part)
        for text, part in zip(texts, parts, strict=True)
    ]


def _grid(images: Sequence[DicomImage]) -> Grid:
    """Check the positions of the frames of images on one grid."""
    sides = right_angled([_planes(image).sides for image in images])
    normal = np.cross(sides[:3], sides[3:])
    positions = np.concatenate([_planes(image).positions_mm for image in images])
    positions = positions[np.argsort(positions @ normal, kind="stable")]
    return grid_of(positions, sides, _planes(images[0]).spacing_mm.tolist(), _declared_mm(images, positions @ normal))


def _declared_mm(images: Sequence[DicomImage], heights: NDArray[np.float64]) -> float:
    """Return the distance between slices by their headers, if their numbers jump where distances are multiples of it; else
    0."""
    between = max(image.between_mm for image in images)
    if len(images) < 2 or len(heights) != len(images) or between <= 0:
        return 0.0
    jumps = np.abs(np.diff([image.number for image in images]))
    return between if (jumps == np.round(np.diff(heights) / between)).all() and (jumps > 1).any() else 0.0


def _planes(image: DicomImage) -> Planes:
    assert isinstance(image.planes, Planes)
    return image.planes


def _alone(image: DicomImage, where: Planes | str) -> Stack:
    if isinstance(where, Planes):
        return _stack([image], Phase())
    return Stack((image,), no_seg=image.no_seg)


def _stack(images: Sequence[DicomImage], phase: Phase) -> Stack:
    sides = right_angled([_planes(image).sides for image in images])
    notes = [] if phase.sure else ["images at the same position were told apart by their numbers only"]
    worst = max(image.shift_px(sides) for image in images)
    if worst > _SHOWN_PX:
        notes.append(f"the directions of its slices differ, and the mean moves pixels by up to {worst:.2g} px")
    return Stack(tuple(images), tuple(sides.tolist()), notes=tuple(notes), phase=phase.text)


def _settled(
    stacks: Sequence[Stack], failed: Failures, options: SourceOptions, contents: Contents
) -> tuple[list[Stack], Failures]:
    """Check the grids of all stacks; return those that are permitted, and the failures in the order of their files."""
    kept = []
    for stack in stacks:
        try:
            kept.append(replace(stack, notes=(*stack.notes, *_check_grid(stack, options)), contents=contents))
        except ImageError as error:
            failed.append((min(stack.files), error))
    return sorted(kept, key=lambda stack: min(stack.files)), sorted(failed, key=lambda f: f[0])


def _check_grid(stack: Stack, options: SourceOptions) -> list[str]:
    """Return notes about the positions of the slices.

    Raises:
        ImageError: slices are missing, or are not on a regular grid, and the options do not permit it.
    """
    if stack.sides is None:
        return []
    sides, grid = np.array(stack.sides), _grid(stack.images)
    what = f"the series of {min(stack.files)}" + (f" ({stack.phase})" if stack.phase else "")
    irregular = grid.irregular
    if max(image.shift_px(sides) for image in stack.images) > _SHIFT_PX:
        irregular = "the directions of its slices differ"
    if irregular:
        if not options.allow_irregular:
            expected = "slices on a regular grid, since programs that show a volume would misplace the result"
            raise ImageError(f"{what} is irregular: {irregular}", expected, "check it, or pass --allow-irregular")
        return [f"{irregular}, so programs that show a volume misplace the result"]
    if not grid.lacks:
        return []
    lacks = f"{counted(grid.lacks, 'slice')} {'is' if grid.lacks == 1 else 'are'} missing {_gaps(stack, grid.missing)}"
    if not (options.allow_missing or options.allow_irregular):
        expected, advice = "all slices", "copy the series again, or pass --allow-missing"
        raise ImageError(f"{what} is incomplete: {lacks}", expected, advice)
    return [lacks]


def _gaps(stack: Stack, missing: Sequence[tuple[int, int]]) -> str:
    if len(stack.images) == 1:
        return "between its frames"
    at = [f"{stack.files[i].name} and {stack.files[i + 1].name}" for i, _ in missing]
    return f"between {named(at)}"
