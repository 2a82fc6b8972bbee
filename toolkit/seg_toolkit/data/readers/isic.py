"""The ISIC challenges of 2016 to 2018, lesion boundary segmentation: dermoscopic photographs with one mask each.

    ISIC-2017_Training_Data/ISIC_0000000.jpg, ISIC_0000000_superpixels.png
    ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png     0 the skin, 255 the lesion

Folders have other names in other years; files are told by their own names alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from seg_runtime.support.errors import DataError

from ..folder import FolderCase

LAYOUT = "ISIC_NUMBER.jpg and ISIC_NUMBER_segmentation.png in any folders below"
IMAGE = re.compile(r"(ISIC_\d+)\.(?:jpe?g|png|bmp|tiff?)", re.IGNORECASE)
MASK = re.compile(r"(ISIC_\d+)_segmentation\.png", re.IGNORECASE)


def find_isic(root: Path, report: Callable[[str], None]) -> list[FolderCase]:
    """The photographs that have a mask; all other files, superpixels among them, are not looked at.

    Raises:
        DataError: no such folder, two photographs or masks of one number, or none that match.
    """
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for place, folders, files in os.walk(root):
        folders.sort()
        for file in sorted(files):
            for pattern, found in ((IMAGE, images), (MASK, masks)):
                if match := pattern.fullmatch(file):
                    _keep(found, match[1], Path(place) / file)
    if not images or not masks:
        lacks = "photographs ISIC_NUMBER.jpg" if not images else "masks ISIC_NUMBER_segmentation.png"
        raise DataError(f"{root} has no {lacks}", LAYOUT, "point to the folder that holds both folders")
    both = sorted(images.keys() & masks.keys())
    for found, what in ((images, "photographs without a mask"), (masks, "masks without a photograph")):
        if odd := sorted(found.keys() - set(both)):
            report(f"{len(odd)} {what}, left out: {', '.join(odd[:5])}{' …' if len(odd) > 5 else ''}")
    if not both:
        raise DataError(f"no photograph in {root} has the number of a mask", LAYOUT, "take both of one part")
    return [FolderCase(number, images[number], masks[number], None) for number in both]


def _keep(found: dict[str, Path], number: str, path: Path) -> None:
    if number in found:
        raise DataError(f"{path} and {found[number]} are both {number}", "each once", "remove one, or point deeper")
    found[number] = path
