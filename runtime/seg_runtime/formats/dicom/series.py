"""The images of DICOM series, and what is wrong with their files."""

from __future__ import annotations

import filecmp
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...support import ImageError, SegError, counted, named, read_file
from ..format import Failures, SourceOptions
from .images import Contents, DicomImage, header_of, image_of
from .library import discreet
from .planes import Planes
from .read import NoPictureError, check_image, decode_dicom

Defects = list[tuple[Path, SegError, str]]
"""Files that cannot be used, and the UIDs of their series, which are empty if unknown."""


@dataclass
class ImageSeries:
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


def read_images(files: Sequence[Path], contents: Contents) -> tuple[list[DicomImage], Failures, Defects]:
    """Read the headers of files. Return the images, the objects that are no images, and files with a defect and the UID
    of their series, which is empty if unknown."""
    images: list[DicomImage] = []
    others: Failures = []
    defects: Defects = []
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
            twins = [image, *(other for other in images if other.path == earlier)]
            images = [other for other in images if other.path != earlier]
            defects += [(twin.path, _same_uid(twin.path), twin.series) for twin in twins]
    return images, others, defects


def without_localizers(images: Sequence[DicomImage]) -> tuple[list[DicomImage], Failures]:
    """Return the images that are not localizers, and an error for each localizer."""
    return [i for i in images if not i.localizer], [(i.path, _localizer(i)) for i in images if i.localizer]


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


def by_series(images: Sequence[DicomImage], defects: Defects, failed: Failures) -> Mapping[str, ImageSeries]:
    """Group images and defects by series. A file of unknown series may belong to any series in its folder; if there is
    none, it is added to `failed`, like a file of a series without images."""
    found: dict[str, ImageSeries] = defaultdict(ImageSeries)
    for image in images:
        found[image.series or str(image.path)].images.append(image)
    for path, error, uid in defects:
        near = [s for key, s in found.items() if key == uid or (not uid and s.has_files_in(path.parent))]
        for series in near:
            series.defects.append((path, error))
        if not near:
            failed.append((path, error))
    return found


def check_series(series: ImageSeries, options: SourceOptions, contents: Contents) -> None:
    """Check that all files of a series can be used and belong together, or drop those that do not.

    Raises:
        ImageError: a file is not usable and `allow_missing` is not set, or it is unclear which patient is the right one.
    """
    _find_unplaced(series)
    _find_renamed(series)
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
        advice = f"{error.advice or 'copy it again'}, move it away if it does not belong there, or pass --allow-missing"
        raise ImageError(problem, error.expected, advice)
    if series.defects:
        names = named([path.name for path, _ in series.defects])
        series.dropped.append(f"{names} cannot be used and {'is' if len(series.defects) == 1 else 'are'} missing")


def _others(series: ImageSeries) -> str:
    count = len(series.images)
    return f"the series of {min(i.path for i in series.images)} ({counted(count, 'other image')}) is"


def _find_unplaced(series: ImageSeries) -> None:
    """Make images without a position defects if the others of their kind have one."""
    kinds = {image.kind for image in series.images if isinstance(image.planes, Planes) and image.frames == 1}
    for image in list(series.images):
        if isinstance(image.planes, str) and image.kind in kinds:
            problem = f"{image.path} has no valid position, unlike the other images of its series ({image.planes})"
            series.defects.append((image.path, ImageError(problem, "", "export the series again")))
            series.images.remove(image)


def _find_renamed(series: ImageSeries) -> None:
    """Make images whose file names another instance defects, unless all do, as after a replacement of the UIDs."""
    odd = [image for image in series.images if image.renamed]
    if len(odd) < len(series.images):
        series.images = [image for image in series.images if not image.renamed]
        for image in odd:
            problem = f"{image.path} has two SOP Instance UIDs, in its meta information and in its dataset"
            series.defects.append((image.path, ImageError(problem, "the same", "export the series again")))


def _find_undecodable(series: ImageSeries, max_pixels: int, contents: Contents) -> None:
    """Make images with damaged pixels defects, unless none is left."""
    broken: list[tuple[Path, SegError]] = []
    for image in series.images:
        try:
            data = contents[image.path] if image.path in contents else read_file(image.path)
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
