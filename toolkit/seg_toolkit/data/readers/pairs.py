"""Reader of images with masks, instances or both: images/NAME.* with masks/NAME.* or instances/NAME.*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError

from .. import (
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    by_name,
    matched,
    read_image,
    read_mask,
    to_labels,
)

_PARTS = ("images", "masks", "instances")
_LAYOUT = "DATA/images with DATA/masks or DATA/instances"


@dataclass(frozen=True)
class PairCase(Case):
    """A case whose image, mask and instances are files."""

    name: str
    image_file: Path
    mask_file: Path | None = None
    instances_file: Path | None = None

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_image(self.image_file)

    def values(self) -> dict[int, str]:
        """Values of the mask; 0 and 1 if there are only instances."""
        if self.mask_file is None:
            return {value: str(self.instances_file) for value in (0, 1)}
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file))}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        labels, instances = self.truth(classes)
        return Example(self.image(), labels, instances).checked(self.name)

    def truth(self, classes: Sequence[ClassValues]) -> tuple[NDArray[np.uint8], NDArray[np.int32] | None]:
        """Read labels `(H, W)` uint8 and instances `(H, W)` int32, or None without instances."""
        instances = None if self.instances_file is None else _ids(self.instances_file)
        if self.mask_file is not None:
            return to_labels(read_mask(self.mask_file), classes, str(self.mask_file)), instances
        if instances is None:
            raise DataError(f"{self.name} has no mask", "a mask or instances", "add one of them")
        return (instances > 0).astype(np.uint8), instances


def find_pairs(root: Path, report: Report) -> DataSet:
    """Find images with masks, instances or both, matched by name.

    Args:
        root: training folder.
        report: called with a message about files without a match.

    Raises:
        DataError: if the folder, images or masks are missing, two files have the same name, or nothing matches.
    """
    if not (root / "images").is_dir():
        raise DataError(f"{root} has no folder images", _LAYOUT, "give the folder that contains it")
    found = {part: by_name(root / part) for part in _PARTS}
    images, masks, instances = found.values()
    if not masks and not instances:
        raise DataError(f"{root} has neither masks nor instances", _LAYOUT, "add the ground truth")
    if not images:
        raise DataError(f"{root / 'images'} has no images", _LAYOUT, "add the images")
    if masks and instances and (odd := sorted(images.keys() & masks.keys() - instances.keys())):
        problem = f"the instances of {odd[0]} and {len(odd) - 1} more are missing"
        advice = "add them, or remove the folder instances"
        raise DataError(problem, "instances for every image or for none", advice)
    filled = [part for part in _PARTS if found[part]]
    others = {part: " and ".join(other for other in filled if other != part) for part in filled}
    names = matched(report, *((found[part], f"in {part} without a match in {others[part]}") for part in filled))
    if not names:
        problem = f"no image in {root} has the name of a mask"
        raise DataError(problem, "images/NAME.* with masks/NAME.*", "rename the files")
    cases = tuple(PairCase(n, images[n], masks.get(n), instances.get(n)) for n in names)
    return DataSet(cases, instances_only=not masks)


def _ids(path: Path) -> NDArray[np.int32]:
    """Read instance ids and renumber them 0..n without gaps, because ids of some programs are very large."""
    values = read_mask(path)
    if values.min() < 0:
        problem = f"{path} contains the id {values.min()}"
        raise DataError(problem, "0 for the background and ids from 1", "correct the file")
    known, ids = np.unique(values, return_inverse=True)
    return (ids.reshape(values.shape) + int(known[0] != 0)).astype(np.int32)
