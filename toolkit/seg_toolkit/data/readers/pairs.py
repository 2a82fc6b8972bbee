"""Reader of images with masks, instances or both, matched by name.

images/NAME.* with masks/NAME.* or instances/NAME.*, also in subfolders of the same names; masks may also be named
NAME_mask.*, NAME_seg.*, NAME_labels.* and so on. Without a folder of masks, they lie beside the images: NAME.* with NAME_mask.*.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.model import Acquisition
from seg_runtime.support import DataError, list_files, named, open_file

from .. import (
    INSTANCES,
    Case,
    ClassValues,
    DataSet,
    Example,
    Mask,
    Report,
    acquisition_of,
    by_name,
    load_mask,
    matched,
    nearest,
    read_image,
    read_mask,
    reads,
    to_labels,
)

_PARTS = ("images", "masks", "instances")
_ONE = {"images": "an image", "masks": "a mask", "instances": "instances"}
_MANY = {"instances": "files of instances"}
_LAYOUT = "DATA/images with DATA/masks or DATA/instances"
_MASK = re.compile(r"(?i)(.+?)[ _.-](?:masks?|seg|segmentation|labels?|gt|ground_?truth|annotations?|manual1)")
_IMAGE = re.compile(r"(?i)(.+?)[ _.-](?:img|image|sat|training|test)")
_ORIENTATION = 274  # EXIF tag


@dataclass(frozen=True)
class PairCase(Case):
    """A case whose image, mask and instances are files; `alpha` says that the mask is the transparency of its file."""

    name: str
    image_file: Path
    mask_file: Path | None = None
    instances_file: Path | None = None
    alpha: bool = False

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_image(self.image_file)

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_file)

    def values(self) -> dict[int, str]:
        """Values of the mask; 0 and 1 if there are only instances."""
        if self.mask_file is None:
            return {value: str(self.instances_file) for value in (0, 1)}
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file, alpha=self.alpha))}

    def mask(self, colours: bool = False) -> Mask | None:
        """Read the mask as it is stored, with a note if it may be turned against the image."""
        if self.mask_file is None:
            return None
        mask = load_mask(self.mask_file, colours=colours, alpha=self.alpha)
        turned = _turned(self.image_file, self.mask_file)
        notes = (*mask.notes, turned) if turned else mask.notes
        return replace(mask, notes=notes, of_classes=self.instances_file is not None)

    def with_masks(self, kind: str) -> Case:
        """Return the case with its mask read in another way; see `Case.with_masks`."""
        if self.mask_file is None:
            return self if kind == INSTANCES else super().with_masks(kind)
        if kind == INSTANCES:
            return replace(self, mask_file=None, instances_file=self.mask_file)
        return replace(self, alpha=True)

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        labels, instances = self.truth(classes)
        return Example(self.image(), labels, instances).checked(self.name)

    def truth(self, classes: Sequence[ClassValues]) -> tuple[NDArray[np.uint8], NDArray[np.int32] | None]:
        """Read labels `(H, W)` uint8 and instances `(H, W)` int32, or None without instances."""
        instances = None if self.instances_file is None else _ids(self.instances_file)
        if self.mask_file is not None:
            return to_labels(read_mask(self.mask_file, classes, self.alpha), classes, str(self.mask_file)), instances
        if instances is None:
            raise DataError(f"{self.name} has no mask", "a mask or instances", "add one of them")
        return (instances > 0).astype(np.uint8), instances


def _fits_pairs(root: Path) -> bool:
    """Whether a folder has images with masks or instances in the folders that this reader knows, or masks beside images."""
    if (root / "images").is_dir() and (any(by_name(root / part) for part in _PARTS[1:]) or _subfolders(root)):
        return True
    return not (root / "masks").is_dir() and bool(_beside(root))


@reads(_fits_pairs)
def find_pairs(root: Path, report: Report) -> DataSet:
    """Find images with masks, instances or both, matched by name.

    Args:
        root: training folder.
        report: called with a message about files without a match.

    Raises:
        DataError: if the folder, images or masks are missing, two files have the same name, or nothing matches.
    """
    if not any((root / part).is_dir() for part in _PARTS[1:]) and (cases := _beside(root)):
        return DataSet(tuple(cases))
    if not (root / "images").is_dir():
        above = root.absolute().parent
        inside = root.name in _PARTS and (above / "images").is_dir()
        advice = f"give {above}, the folder above" if inside else "give the folder that contains it"
        raise DataError(f"{root} has no folder images", _LAYOUT, advice)
    found = {part: by_name(root / part) for part in _PARTS}
    if nested := _subfolders(root):
        found = {
            part: {
                **found[part],
                **{
                    f"{folder}/{name}": path
                    for folder in nested
                    for name, path in by_name(root / part / folder).items()
                },
            }
            for part in _PARTS
        }
    images = found["images"] = _without_ending(found["images"], _IMAGE, {**found["masks"], **found["instances"]})
    masks = found["masks"] = _without_ending(found["masks"], _MASK, images)
    instances = found["instances"] = _without_ending(found["instances"], _MASK, images)
    if not masks and not instances:
        raise (
            _in_subfolders(root, "masks", "images")
            or _in_subfolders(root, "instances", "images")
            or DataError(f"{root} has neither masks nor instances", _LAYOUT, "add the ground truth")
        )
    if not images:
        raise _in_subfolders(root, "images", "masks" if masks else "instances") or DataError(
            f"{root / 'images'} has no images", _LAYOUT, "add the images"
        )
    if masks and instances and (odd := sorted(images.keys() & masks.keys() - instances.keys())):
        problem = f"the instances of {odd[0]} and {len(odd) - 1} more are missing"
        advice = "add them, or remove the folder instances"
        raise DataError(problem, "instances for every image or for none", advice)
    filled = [part for part in _PARTS if found[part]]
    others = {part: " or ".join(_ONE[other] for other in filled if other != part) for part in filled}
    names = matched(report, *((found[part], f"{_MANY.get(part, part)} without {others[part]}") for part in filled))
    if not names:
        near = nearest(list(images), masks or instances)
        problem = f"no image in {root} has the name of a mask{f'; the nearest names are {near}' if near else ''}"
        raise DataError(problem, "images/NAME.* with masks/NAME.* or masks/NAME_mask.*", "rename the files")
    pairs = (PairCase(n, images[n], masks.get(n), instances.get(n)) for n in names)
    return DataSet(tuple(pairs), instances_only=not masks)


def _subfolders(root: Path) -> list[str]:
    """Folders of images that have the same path in the images and in the ground truth, such as `d1` or `d1/left`."""
    inside = {
        part: {path.parent.relative_to(root / part).as_posix() for path in list_files(root / part, recursive=True)}
        - {"."}
        for part in _PARTS
    }
    return sorted(inside["images"] & (inside["masks"] | inside["instances"]))


def _in_subfolders(root: Path, part: str, other: str) -> DataError | None:
    """Error about a part whose files are in subfolders that another part lacks; None if it has no files."""
    folder = root / part
    folders = sorted({path.parent for path in list_files(folder, recursive=True)} - {folder})
    if not folders:
        return None
    problem = f"the files of {folder} are in subfolders ({named([path.name for path in folders])})"
    advice = f"give {root / other} the same subfolders, or move the files to {folder}"
    return DataError(problem, "images and masks in the same subfolders, or without", advice)


def _beside(root: Path) -> list[PairCase]:
    """Images with masks beside them, in the folder or its subfolder images."""
    folder = root / "images" if (root / "images").is_dir() else root
    files = by_name(folder)
    masks = {name: path for name, path in files.items() if _MASK.fullmatch(name)}
    images = {name: path for name, path in files.items() if name not in masks}
    masks = {match[1]: path for name, path in masks.items() if (match := _MASK.fullmatch(name))}
    images = _without_ending(images, _IMAGE, masks)
    return [PairCase(name, images[name], masks[name]) for name in sorted(images.keys() & masks.keys())]


def _without_ending(files: Mapping[str, Path], ending: re.Pattern[str], others: Mapping[str, Path]) -> dict[str, Path]:
    """Name files as their partners where that name is free: NAME_mask becomes NAME if the partners include only NAME."""
    named = dict(files)
    bare = {match[1] for name in others for pattern in (_MASK, _IMAGE) if (match := pattern.fullmatch(name))}
    for name in files:
        match = ending.fullmatch(name)
        if match and name not in others and match[1] not in named and match[1] in others.keys() | bare:
            named[match[1]] = named.pop(name)
    return dict(sorted(named.items()))


def _turned(image: Path, mask: Path) -> str:
    """Warn if two files have different EXIF orientations, although they are stored in the same size."""
    (turn, size), (other, other_size) = _orientation(image), _orientation(mask)
    if turn == other or size != other_size:  # a mask that was drawn on the upright image is stored in another size
        return ""
    which, plain = (image, mask) if turn != 1 else (mask, image)
    return (
        f"{which} is turned by its EXIF orientation, but {plain.parent.name}/{plain.name} is not; check that they match"
    )


def _orientation(path: Path) -> tuple[int, tuple[int, int]]:
    """EXIF orientation and stored size of a picture; 1 if it has none or is no file of Pillow's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with os.fdopen(open_file(path), "rb") as file, Image.open(file) as picture:
                return int(picture.getexif().get(_ORIENTATION, 1)), picture.size
    except Exception:  # whatever is wrong with the file, reading it says so
        return 1, (0, 0)


def _ids(path: Path) -> NDArray[np.int32]:
    """Read instance ids and renumber them 0..n without gaps, because ids of some programs are very large."""
    values = read_mask(path)
    if values.min() < 0:
        problem = f"{path} contains the id {values.min()}"
        raise DataError(problem, "0 for the background and ids from 1", "correct the file")
    known, ids = np.unique(values, return_inverse=True)
    return (ids.reshape(values.shape) + int(known[0] != 0)).astype(np.int32)
