"""The ISIC challenges of 2016 to 2018, lesion boundary segmentation: dermoscopic photographs with one mask each.

    ISIC-2017_Training_Data/ISIC_0000000.jpg, ISIC_0000000_superpixels.png
    ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png     0 the skin, 255 the lesion

Folders have other names in other years, so files are recognised by their own names alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from seg_runtime.support import DataError, list_files

from .. import DataSet, Report, matched
from .pairs import PairCase

_LAYOUT = "ISIC_NUMBER.jpg and ISIC_NUMBER_segmentation.png in any folders below"
_IMAGE = re.compile(r"(ISIC_\d+)\.(?:jpe?g|png|bmp|tiff?)", re.IGNORECASE)
_MASK = re.compile(r"(ISIC_\d+)_segmentation\.png", re.IGNORECASE)


def find_isic(root: Path, report: Report) -> DataSet:
    """The photographs that have a mask; all other files, superpixels among them, are ignored.

    Raises:
        DataError: no such folder, two photographs or masks of one number, or none that match.
    """
    files = list_files(root, recursive=True)
    images, masks = (_by_number(files, pattern) for pattern in (_IMAGE, _MASK))
    if not images or not masks:
        lacks = "photographs ISIC_NUMBER.jpg" if not images else "masks ISIC_NUMBER_segmentation.png"
        raise DataError(f"{root} has no {lacks}", _LAYOUT, "point to the folder that holds both folders")
    numbers = matched(report, (images, "photographs without a mask"), (masks, "masks without a photograph"))
    if not numbers:
        raise DataError(f"no photograph in {root} has the number of a mask", _LAYOUT, "take both of one part")
    return DataSet(tuple(PairCase(number, images[number], masks[number]) for number in numbers))


def _by_number(files: list[Path], pattern: re.Pattern[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        if (match := pattern.fullmatch(path.name)) and (other := found.setdefault(match[1], path)) != path:
            raise DataError(f"{path} and {other} are both {match[1]}", "each once", "remove one, or point deeper")
    return found
