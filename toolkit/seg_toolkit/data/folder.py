"""A training folder: which image belongs to which mask, what the mask values mean, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from seg_runtime.formats import FORMATS, ReadOptions, read_bytes
from seg_runtime.model.answer import ClassInfo
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError

from .case import Case, Example

BACKGROUND = (0, 0, 0)
COLORS = (  # Okabe and Ito's palette, told apart by colour-blind readers too
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip


@dataclass(frozen=True)
class FolderCase(Case):
    """A case whose image, mask and instances are files of one name."""

    name: str
    image_file: Path
    mask_file: Path | None
    instances_file: Path | None

    @property
    def instances_only(self) -> bool:
        """Whether there is no mask."""
        return self.mask_file is None

    def image(self) -> Array:
        """`(H, W, C)`."""
        return read_image(self.image_file)

    def values(self) -> dict[int, str]:
        """Of the mask; 0 and 1 where there are only instances."""
        if self.mask_file is None:
            return {value: str(self.instances_file) for value in (0, 1)}
        return {int(v): str(self.mask_file) for v in np.unique(read_mask(self.mask_file))}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`."""
        labels, instances = self.truth(classes)
        return Example(self.image(), labels, instances).checked(self.name)

    def truth(self, classes: Sequence[ClassValues]) -> tuple[NDArray[np.uint8], NDArray[np.int32] | None]:
        """Labels `(H, W)` uint8 and, where the folder has them, instances `(H, W)` int32."""
        instances = None if self.instances_file is None else _ids(self.instances_file)
        if self.mask_file is not None:
            return to_labels(read_mask(self.mask_file), classes, str(self.mask_file)), instances
        if instances is None:
            raise DataError(f"{self.name} has no mask", "a mask or instances", "add one")
        return (instances > 0).astype(np.uint8), instances


@dataclass(frozen=True)
class ClassValues:
    """One class and the mask values that stand for it; no values: the value is the class's index."""

    info: ClassInfo
    values: tuple[int, ...]


def find_cases(root: Path, report: Callable[[str], None]) -> list[FolderCase]:
    """The matched cases of `root`: `images/NAME.*` with `masks/NAME.*` or `instances/NAME.*`, sorted by name.

    Args:
        root: the training folder.
        report: told about files that match nothing.

    Raises:
        DataError: no such folder, no images, no masks, two files of one name, or nothing that matches.
    """
    layout = "DATA/images with DATA/masks or DATA/instances"
    if not (root / "images").is_dir():
        raise DataError(f"{root} has no folder images", layout, "point to the folder that holds them")
    images, masks, instances = (by_stem(root / part) for part in ("images", "masks", "instances"))
    if not masks and not instances:
        raise DataError(f"{root} has neither masks nor instances", layout, "add the ground truth")
    if not images:
        raise DataError(f"{root / 'images'} has no images", layout, "add the images")
    folders = {"images": images, "masks": masks, "instances": instances}
    if masks and instances and (odd := sorted(set(images) & set(masks) - set(instances))):
        came = f"instances of {odd[0]} and {len(odd) - 1} more are missing"
        raise DataError(came, "instances for every image or for none", "add them or move the folder away")
    filled = {name: files for name, files in folders.items() if files}
    matched = sorted(set.intersection(*map(set, filled.values())))
    for name, files in filled.items():
        if odd := sorted(set(files) - set(matched)):
            named = f"{', '.join(odd[:5])}{' …' if len(odd) > 5 else ''}"
            report(f"{len(odd)} in {name} without a match in {' and '.join(set(filled) - {name})}, left out: {named}")
    if not matched:
        raise DataError(f"no image in {root} has the name of a mask", "images/NAME.* with masks/NAME.*", "rename them")
    return [FolderCase(n, images[n], masks.get(n), instances.get(n)) for n in matched]


def by_stem(folder: Path) -> dict[str, Path]:
    """Images of a folder by their names without suffix, empty where there is no folder; raises DataError for two of one name."""
    found: dict[str, Path] = {}
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror})", "a readable folder", "check its permissions"
        ) from error
    for path in paths:
        if not FORMATS.is_picture(path) or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(f"{path} and {found[path.stem].name} have one name", "one file per name", "remove one")
        found[path.stem] = path
    return found


def read_image(path: Path) -> Array:
    """`(H, W, C)` of a one-page image file, as the runtime reads it."""
    return _one_page(path, indices=False)


def read_mask(path: Path) -> NDArray[np.int64]:
    """Raw values `(H, W)` int64 of a label image: palette images give their indices, not their colours."""
    values = _one_page(path, indices=True)
    colours = values[..., : 3 if values.shape[-1] >= 3 else 1]
    if (colours != colours[..., :1]).any():
        raise DataError(f"{path} is a colour picture", "a mask with one value per pixel", "save it as grey or palette")
    plane = colours[..., 0]
    if plane.dtype.kind == "f" and (plane != np.rint(plane)).any():
        raise DataError(f"{path} has fractional values", "integers", "save it as a label image")
    return plane.astype(np.int64)


def _one_page(path: Path, indices: bool) -> Array:
    data = read_bytes(path)
    pages = FORMATS.of(data, path).read(data, str(path), ReadOptions(indices=indices))
    page = next(pages)
    if next(pages, None) is not None:
        raise DataError(f"{path} has several pages", "one image per file", "split the stack")
    return page.array


def parse_classes(text: str) -> tuple[ClassValues, ...]:
    """Classes from `background=0,cell=255`; several values as `membrane=0+32+64`, a colour as `cell=255#ff8800`.

    Raises:
        DataError: not of that form, a value or name given twice, fewer than two classes.
    """
    form = "NAME=VALUE[+VALUE…][#RRGGBB],… such as background=0,cell=255"
    found: list[ClassValues] = []
    for index, part in enumerate(text.split(",")):
        name, _, rest = part.strip().partition("=")
        numbers, _, colour = rest.partition("#")
        try:
            values = tuple(int(v) for v in numbers.split("+"))
            rgb = ImageColor.getrgb(f"#{colour}")[:3] if colour else default_color(index)
        except ValueError as error:
            raise DataError(f"--classes {part!r}", form, "write it like that") from error
        if not name:
            raise DataError(f"--classes {part!r}", form, "write it like that")
        found.append(ClassValues(ClassInfo(name, (rgb[0], rgb[1], rgb[2])), values))
    for what, things in (("value", [v for c in found for v in c.values]), ("name", [c.info.name for c in found])):
        if twice := [t for t, n in Counter(things).items() if n > 1]:
            raise DataError(f"--classes gives the {what} {twice[0]!r} twice", "each once", "correct it")
    if not 2 <= len(found) <= 256:
        raise DataError(f"--classes lists {len(found)}", "2 to 256, the background first", "list all of them")
    return tuple(found)


def infer_classes(values: Mapping[int, str]) -> tuple[ClassValues, ...]:
    """Classes when none were given: {0, 255}, or indices 0..K-1 without a gap.

    Args:
        values: each value that occurs in the masks, with a file that holds it.

    Raises:
        DataError: any other set of values; the message holds the option to give.
    """
    found = sorted(values, key=lambda value: (value < 0, abs(value)))  # a ring made by a reader is no background
    if found in ([0, 255], [255], [0], [0, 1], [1]):
        numbers: tuple[int, ...] = (0, 255) if 255 in found else (0, 1)
        names: tuple[str, ...] = ("background", "foreground")
    elif found == list(range(len(found))) and len(found) <= 256:
        numbers = tuple(found)
        names = ("background", *(f"class{i}" for i in found[1:]))
    else:
        option = ",".join(f"{'background' if i == 0 else f'class{i}'}={v}" for i, v in enumerate(found[:12]))
        listed = ", ".join(f"{v} in {Path(values[v]).name}" for v in found[:12]) + (" …" if len(found) > 12 else "")
        wanted = "0 and 255, or class indices from 0 without a gap"
        raise DataError(f"the masks hold the values {listed}", wanted, f"correct them, or name all: --classes {option}")
    return tuple(
        ClassValues(ClassInfo(name, default_color(i)), (number,))
        for i, (name, number) in enumerate(zip(names, numbers, strict=True))
    )


def default_color(index: int) -> tuple[int, int, int]:
    """Colour of class `index`: black for the background, then a palette that repeats darker."""
    if index == 0:
        return BACKGROUND
    round_, place = divmod(index - 1, len(COLORS))
    red, green, blue = (int(v * 0.7**round_) for v in COLORS[place])
    return red, green, blue


def to_labels(mask: NDArray[np.int64], classes: Sequence[ClassValues], name: str) -> NDArray[np.uint8]:
    """Class indices `(H, W)` uint8 of raw mask values.

    Raises:
        DataError: a value that no class lists; names it and the file.
    """
    labels = np.full(mask.shape, -1, np.int16)
    for index, entry in enumerate(classes):
        labels[np.isin(mask, entry.values)] = index
    if (labels < 0).any():
        stray, count = np.unique(mask[labels < 0], return_counts=True)
        listed = ", ".join(f"{c.info.name}={'+'.join(map(str, c.values))}" for c in classes)
        raise DataError(
            f"{name} holds the value {stray[0]} in {count[0]} px", listed, "correct the mask or list it in --classes"
        )
    return labels.astype(np.uint8)


def _ids(path: Path) -> NDArray[np.int32]:
    """Instance ids 0..n of a file, renumbered without gaps, since some programs count in millions."""
    values = read_mask(path)
    if values.min() < 0:
        raise DataError(f"{path} holds the id {values.min()}", "0 for the background and ids from 1", "correct it")
    known, ids = np.unique(values, return_inverse=True)
    return (ids.reshape(values.shape) + int(known[0] != 0)).astype(np.int32)


def recolored(classes: Sequence[ClassValues], infos: Sequence[ClassInfo]) -> tuple[ClassValues, ...]:
    """The mask values of `classes` under the names and colours of `infos`."""
    return tuple(replace(c, info=i) for c, i in zip(classes, infos, strict=True))


def mask_values(cases: Sequence[Case]) -> dict[int, str]:
    """All values that occur in the masks, each with a file that holds it."""
    found: dict[int, str] = {}
    for case in cases:
        found = {**case.values(), **found}
    return found


def json_values(classes: Sequence[ClassValues]) -> list[dict[str, Any]]:
    """Classes with their mask values for the checkpoint."""
    return [{"name": c.info.name, "color": list(c.info.color), "values": list(c.values)} for c in classes]


def stored_classes(stored: Sequence[dict[str, Any]]) -> tuple[ClassValues, ...]:
    """What `json_values` stored."""
    return tuple(ClassValues(ClassInfo(c["name"], tuple(c["color"])), tuple(c["values"])) for c in stored)
