"""Reader of the Oxford-IIIT Pet data set (Parkhi et al. 2012): photographs of cats and dogs with trimaps.

images/NAME.jpg
annotations/trimaps/NAME.png     1 animal, 2 background, 3 undecided, along the outline
annotations/list.txt, trainval.txt, test.txt     "NAME CLASS SPECIES BREED" per line, `#` starts comments
"""

from __future__ import annotations

import os
from pathlib import Path

from seg_runtime.support import METADATA_BYTES, DataError, SegError, open_file, read_file

from .. import DataSet, Report, reads, report_left_out
from .pairs import PairCase

_LISTS = {"trainval": "trainval.txt", "test": "test.txt", "all": "list.txt"}
_LAYOUT = "images/NAME.jpg, annotations/trimaps/NAME.png and annotations/trainval.txt, test.txt and list.txt"
_PICTURES = (b"\xff\xd8", b"\x89PNG", b"BM")  # first bytes of formats that can be read


def _fits_pets(root: Path) -> bool:
    """Whether a folder has images and trimaps."""
    return (root / "images").is_dir() and (root / "annotations" / "trimaps").is_dir()


@reads(_fits_pets)
def find_pets(root: Path, report: Report, split: str = "trainval") -> DataSet:
    """Find the cases of a list.

    Args:
        root: folder that contains `images` and `annotations`.
        report: called with messages about names without an image or trimap, and about files named .jpg in other formats.
        split: `trainval`, `test` or `all`.

    Raises:
        SegError: if the split is unknown.
        DataError: if the layout is different.
    """
    if split not in _LISTS:
        raise SegError(f"the reader pets has split={split}", ", ".join(_LISTS), "choose one of them")
    images, trimaps, listed = root / "images", root / "annotations" / "trimaps", root / "annotations" / _LISTS[split]
    for folder in (images, trimaps):
        if not folder.is_dir():
            problem = f"{root} has no folder {folder.relative_to(root)}"
            raise DataError(problem, _LAYOUT, "give the folder that contains images and annotations")
    cases: list[PairCase] = []
    missing, odd = [], []
    for name in _names(listed):
        image, trimap = images / f"{name}.jpg", trimaps / f"{name}.png"
        if not image.is_file() or not trimap.is_file():
            missing.append(name)
        elif not _begins(image).startswith(_PICTURES):
            odd.append(name)
        else:
            cases.append(PairCase(name, image, trimap))
    report_left_out(report, missing, f"names in {listed.name} without image or trimap")
    report_left_out(report, odd, "images of another format than JPEG")
    if not cases:
        problem = f"{root} contains no image that {listed} names"
        raise DataError(problem, _LAYOUT, "unpack images and annotations there")
    return DataSet(tuple(cases))


def _begins(path: Path) -> bytes:
    with os.fdopen(open_file(path), "rb") as file:
        return file.read(4)


def _names(path: Path) -> list[str]:
    try:
        lines = read_file(path, METADATA_BYTES).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})", _LAYOUT, "unpack the annotations") from error
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if odd := [name for name in names if "/" in name or "\\" in name]:
        raise DataError(f"{path} names {odd[0]!r}", "names of files in images", "correct the list")
    return names
