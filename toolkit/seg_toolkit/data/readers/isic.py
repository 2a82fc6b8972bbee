"""Reader of the ISIC challenges 2016 to 2018, lesion boundary segmentation: dermoscopic photographs with one mask each.

ISIC-2017_Training_Data/ISIC_0000000.jpg, ISIC_0000000_superpixels.png
ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png     0 skin, 255 lesion

Folder names differ between years, so files are recognised by file name only.
"""

from __future__ import annotations

import re
from pathlib import Path

from seg_runtime.support import DataError, list_files

from .. import DataSet, Report, matched, reads
from .pairs import PairCase

_LAYOUT = "ISIC_NUMBER.jpg and ISIC_NUMBER_segmentation.png in any subfolders"
_IMAGE = re.compile(r"(ISIC_\d+)\.(?:jpe?g|png|bmp|tiff?)", re.IGNORECASE)
_MASK = re.compile(r"(ISIC_\d+)_segmentation\.png", re.IGNORECASE)


def _fits_isic(root: Path) -> bool:
    """Whether a folder has a photograph and its mask."""
    files = list_files(root, recursive=True)
    return bool(_by_number(files, _IMAGE).keys() & _by_number(files, _MASK).keys())


@reads(_fits_isic)
def find_isic(root: Path, report: Report) -> DataSet:
    """Find the photographs that have a mask. All other files, including superpixels, are ignored.

    Raises:
        DataError: if the folder is missing, two photographs or masks have the same number, or none match.
    """
    files = list_files(root, recursive=True)
    images, masks = (_by_number(files, pattern) for pattern in (_IMAGE, _MASK))
    if not images or not masks:
        lacks = "photographs ISIC_NUMBER.jpg" if not images else "masks ISIC_NUMBER_segmentation.png"
        raise DataError(f"{root} has no {lacks}", _LAYOUT, "give the folder that contains both")
    numbers = matched(report, (images, "photographs without a mask"), (masks, "masks without a photograph"))
    if not numbers:
        raise DataError(f"no photograph in {root} has the number of a mask", _LAYOUT, "use both of the same part")
    return DataSet(tuple(PairCase(number, images[number], masks[number]) for number in numbers))


def _by_number(files: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        if (match := pattern.fullmatch(path.name)) and (other := found.setdefault(match[1], path)) != path:
            advice = "remove one of them, or give a subfolder"
            raise DataError(f"{path} and {other} are both {match[1]}", "one file per number", advice)
    return found
