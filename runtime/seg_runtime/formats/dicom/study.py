"""Group DICOM files into stacks of images in spatial order.

A stack corresponds to one DICOM SEG: the images of a series with the same size, orientation, spacing and frame of
reference, each at another position along the normal of their planes. A second image at the same position, such as
another phase of the heart, belongs to another stack.

A series is refused as a whole if something is wrong with one of its files, since nobody sees in a result that a slice is
missing, or belongs to another patient. The options of `SourceOptions` permit it, and the stack then has a note.
"""

from __future__ import annotations

import filecmp
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...support import ImageError, SegError, counted, named, require_extra
from ..format import Failures, SourceOptions
from .grid import grid_of
from .images import Contents, DicomImage, header_of, image_of
from .library import discreet
from .phases import Phase, phases
from .planes import MERGED_MM, Planes, right_angled
from .read import NoPictureError, check_image, decode_dicom

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
        number: number of the stack in its series, from 1.
        phase: what distinguishes it from the other stacks of its series; empty if it is the only one.
        rank: its number among all placed stacks, including those that are refused, and how many these are.
        contents: contents of files that are in memory.
    """

    images: tuple[DicomImage, ...]
    sides: tuple[float, ...] | None = None
    no_seg: str = ""
    notes: tuple[str, ...] = ()
    number: int = 1
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


@dataclass
class _Series:
    """The images of a series, and what is wrong with it.

    Attributes:
        images: the usable images.
        defects: errors of files that belong to the series, or may belong to it.
        dropped: notes about images that are left out, as clauses.
    """

    images: list[DicomImage] = field(default_factory=list)
    defects: list[tuple[Path, SegError]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def has_files_in(self, folder: Path) -> bool:
        """Return whether images of a known series are in a folder."""
        return any(image.series and image.path.parent == folder for image in self.images)


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
    images, failed, defects = _read(files, contents)
    if apart:
        alone = [_alone(image, image.planes) for image in images]
        failed += [(path, error) for path, error, _ in defects]
        return _settled(alone, failed, options, contents)
    failed += [(image.path, _localizer(image)) for image in images if image.localizer]
    images = [image for image in images if not image.localizer]
    found: list[Stack] = []
    refused: list[Path] = []
    for series in _by_series(images, defects, failed).values():
        try:
            _check_series(series, options, contents)
            found += _stacks(series, options)
        except ImageError as error:
            refused.append(min(image.path for image in series.images))
            failed.append((refused[-1], error))
    order = sorted([*refused, *(min(stack.files) for stack in found if stack.placed)])
    found = [replace(s, rank=(order.index(min(s.files)) + 1, len(order))) if s.placed else s for s in found]
    return _settled(found, failed, options, contents)


_Defects = list[tuple[Path, SegError, str]]


def _read(files: Sequence[Path], contents: Contents) -> tuple[list[DicomImage], Failures, _Defects]:
    """Read the headers of files. Return the images, the objects that are no images, and files with a defect and the UID
    of their series, which is empty if unknown."""
    images: list[DicomImage] = []
    others: Failures = []
    defects: _Defects = []
    seen: dict[str, Path] = {}
    for path in files:
        series = ""
        try:
            header = header_of(path, contents)
            with discreet(str(path)):
                series = str(header.get("SeriesInstanceUID") or "")
            check_image(header, str(path))
            image = image_of(path, header)
        except NoPictureError as error:
            others.append((path, error))
            continue
        except SegError as error:
            defects.append((path, error, series))
            continue
        earlier = seen.setdefault(image.uid or str(path), path)
        if earlier == path:
            images.append(image)
        elif not _is_copy(path, earlier, contents):  # which of the two is right, nobody knows
            twins = [path, *(other.path for other in images if other.path == earlier)]
            images = [other for other in images if other.path != earlier]
            defects += [(twin, _same_uid(twin), series) for twin in twins]
    return images, others, defects


def _localizer(image: DicomImage) -> SegError:
    problem = f"{image.path} is a localizer, by which other images were planned"
    return NoPictureError(problem, "an image to segment", "name the file if you want to segment it")


def _same_uid(path: Path) -> SegError:
    problem = f"{path} has the same SOP Instance UID as another image"
    return ImageError(problem, "one image per UID", "export the series again")


def _is_copy(path: Path, earlier: Path, contents: Contents) -> bool:
    if path in contents or earlier in contents:
        return contents.get(path) == contents.get(earlier)
    return filecmp.cmp(path, earlier, shallow=False)


def _by_series(images: Sequence[DicomImage], defects: _Defects, failed: Failures) -> Mapping[str, _Series]:
    """Group images and defects by series. A file of unknown series may belong to any series in its folder; if there is
    none, it is added to `failed`, like a file of a series without images."""
    found: dict[str, _Series] = defaultdict(_Series)
    for image in images:
        found[image.series or str(image.path)].images.append(image)
    for path, error, uid in defects:
        near = [s for key, s in found.items() if key == uid or (not uid and s.has_files_in(path.parent))]
        for series in near:
            series.defects.append((path, error))
        if not near:
            failed.append((path, error))
    return found


def _check_series(series: _Series, options: SourceOptions, contents: Contents) -> None:
    """Check that all files of a series can be used and belong together, or drop those that do not.

    Raises:
        ImageError: a file is not usable and `allow_missing` is not set, or it is unclear which patient is the right one.
    """
    _find_unplaced(series)
    if options.allow_missing:
        _find_undecodable(series, options.max_pixels, contents)
    owners = Counter(image.owner for image in series.images)
    if len(owners) > 1:
        (owner, most), (_, next_most) = owners.most_common(2)
        others = [image.path for image in series.images if image.owner != owner]
        names = named([path.name for path in others])
        if not options.allow_missing or most == next_most:
            problem = f"the series of {series.images[0].path} has images of {len(owners)} patients or studies"
            advice = f"look at {names}" + ("" if most == next_most else ", or pass --allow-missing to leave them out")
            raise ImageError(problem, "one patient and study per series, so none is segmented", advice)
        series.images = [image for image in series.images if image.owner == owner]
        series.dropped.append(f"{names} of another patient or study {'was' if len(others) == 1 else 'were'} left out")
    if series.defects and not options.allow_missing:
        error = series.defects[0][1]
        more = f", and {counted(len(series.defects) - 1, 'more file')} of its series" if len(series.defects) > 1 else ""
        problem = f"{error.problem}{more}, so {_others(series)} not segmented"
        raise ImageError(problem, error.expected, f"{error.advice}, or pass --allow-missing to segment the others")
    if series.defects:
        names = named([path.name for path, _ in series.defects])
        series.dropped.append(f"{names} cannot be used and {'is' if len(series.defects) == 1 else 'are'} missing")


def _others(series: _Series) -> str:
    count = len(series.images)
    return f"the {counted(count, 'other image')} of the series {'is' if count == 1 else 'are'}"


def _find_unplaced(series: _Series) -> None:
    """Make images without a position defects if the others of their kind have one."""
    kinds = {image.kind for image in series.images if isinstance(image.planes, Planes) and image.frames == 1}
    for image in list(series.images):
        if isinstance(image.planes, str) and image.kind in kinds:
            problem = f"{image.path} has no position, unlike the other images of its series ({image.planes})"
            series.defects.append((image.path, ImageError(problem, "", "export the series again")))
            series.images.remove(image)


def _find_undecodable(series: _Series, max_pixels: int, contents: Contents) -> None:
    """Make images with damaged pixels defects, unless none is left."""
    broken: list[tuple[Path, SegError]] = []
    for image in series.images:
        try:
            data = contents[image.path] if image.path in contents else image.path.read_bytes()
            for _ in decode_dicom(data, str(image.path), max_pixels):
                pass
        except OSError as error:
            broken.append(
                (image.path, ImageError(f"{image.path} cannot be read ({error.strerror})", "", "copy it again"))
            )
        except SegError as error:
            broken.append((image.path, error))
    if len(broken) < len(series.images):
        names = {path for path, _ in broken}
        series.images = [image for image in series.images if image.path not in names]
        series.defects += broken


def _stacks(series: _Series, options: SourceOptions) -> list[Stack]:
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
        divided = _ordered(group)
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
    sides = np.array(stack.sides)
    positions = np.concatenate([_planes(image).positions_mm for image in stack.images])
    positions = positions[np.argsort(positions @ np.cross(sides[:3], sides[3:]), kind="stable")]
    grid = grid_of(positions, sides, _planes(stack.images[0]).spacing_mm.tolist())
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
