"""The Oxford-IIIT Pet data set (Parkhi et al. 2012): photographs of cats and dogs with trimaps.

images/NAME.jpg
annotations/trimaps/NAME.png     1 the animal, 2 the background, 3 what nobody decided along its outline
annotations/list.txt, trainval.txt, test.txt     "NAME CLASS SPECIES BREED" a line, `#` before comments
"""

from __future__ import annotations

from pathlib import Path

from seg_runtime.support import DataError, SegError

from .. import DataSet, Report, report_left_out
from .pairs import PairCase

_LISTS = {"trainval": "trainval.txt", "test": "test.txt", "all": "list.txt"}
_LAYOUT = "images/NAME.jpg, annotations/trimaps/NAME.png and annotations/trainval.txt, test.txt and list.txt"
_PICTURES = (b"\xff\xd8", b"\x89PNG", b"BM")  # how files begin that can be read


def find_pets(root: Path, report: Report, split: str = "trainval") -> DataSet:
    """The cases that a list names.

    Args:
        root: the folder that holds `images` and `annotations`.
        report: told what is left out: names without an image or trimap, and pictures of other formats under the name .jpg.
        split: `trainval`, `test` or `all`.

    Raises:
        SegError: another split.
        DataError: another layout.
    """
    if split not in _LISTS:
        raise SegError(f"the reader pets with split={split}", ", ".join(_LISTS), "choose one")
    images, trimaps, listed = root / "images", root / "annotations" / "trimaps", root / "annotations" / _LISTS[split]
    for folder in (images, trimaps):
        if not folder.is_dir():
            raise DataError(f"{root} has no folder {folder.relative_to(root)}", _LAYOUT, "point to the folder of both")
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
    report_left_out(report, missing, f"in {listed.name} without image or trimap")
    report_left_out(report, odd, "of another format than JPEG")
    if not cases:
        raise DataError(f"nothing that {listed} names lies in {root}", _LAYOUT, "unpack images and annotations there")
    return DataSet(tuple(cases))


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _names(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error})", _LAYOUT, "unpack the annotations") from error
    names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    if odd := [name for name in names if "/" in name or "\\" in name]:
        raise DataError(f"{path} names {odd[0]!r}", "files of the folder images", "correct the list")
    return names
