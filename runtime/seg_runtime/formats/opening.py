"""What is an image, a volume or a structure, by name, and its arrays as a model wants them: for seg-run, training and export.

A model of slices, two spatial axes, takes pictures, and a volume slice by slice. A model of volumes, three, takes NIfTI
files and the pages of a TIFF as one volume. A model of structures takes PDB and mmCIF files, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..model.contract import Contract
from ..model.input import ChannelFile
from ..model.limits import MAX_PIXELS
from ..pipeline.preprocess import Array
from ..support.errors import DataError, ImageError
from .channels import group, stacked
from .nifti import SUFFIXES as VOLUMES
from .nifti import is_nifti, read_volume
from .nifti import stem_of as stem_of
from .pictures import SUFFIXES as PICTURES
from .pictures import decode, read_bytes
from .structures import SUFFIXES as STRUCTURES
from .structures import is_structure, read_voxels

IMAGES = (*PICTURES, *VOLUMES)


Files = tuple[Path, ...]
"""Of one image: a single one, or one a channel in their order."""


def is_readable(path: Path, structures: bool = False) -> bool:
    """Whether a file has the name of an image or a volume; or of a structure, for a model of these."""
    return path.name.lower().endswith(STRUCTURES if structures else IMAGES)


def images_of(data: bytes, name: str, contract: Contract, max_pixels: int = MAX_PIXELS) -> Iterator[Array]:
    """The arrays of a file, one after the other.

    Args:
        data: the file's content.
        name: its path or name, which errors quote.
        contract: of the model; its spatial axes count, and its voxels.
        max_pixels: refuse a file with more px.

    Yields:
        `(H, W, C)` for each page of a picture; `(D, H, W, C)` of a NIfTI volume, for any model; and of a TIFF of several
        pages for a model of volumes, and of a structure.

    Raises:
        ImageError: the file cannot be read, or is a single picture and the model wants volumes, or a structure or none
            where the model wants the other.
        SegError: a package that reads it is not installed.
    """
    check_kind(name, contract)
    if contract.input.voxels:
        yield read_voxels(data, name, contract.input.voxels, max_pixels)
    elif is_nifti(name):
        yield read_volume(data, name, max_pixels)[0]
    elif len(contract.geometry.input_shape) == 2:
        yield from decode(data, name, max_pixels)
    else:
        yield volume_of(decode(data, name, max_pixels), name)


def check_kind(name: str, contract: Contract) -> None:
    """Refuse a structure for a model of images or volumes, and the other way round.

    Raises:
        ImageError: says which.
    """
    if is_structure(name) == (contract.input.voxels is not None):
        return
    came, wanted = f"{name} is a structure of atoms", "an image or a volume as the model was trained"
    if contract.input.voxels:
        came, wanted = f"{name} is no structure", f"a {' or '.join(STRUCTURES)} file as the model was trained"
    raise ImageError(came, wanted, "take another model or another file")


def volume_of(pages: Iterator[Array], name: str) -> Array:
    """The pages `(H, W, C)` of a TIFF as one volume `(D, H, W, C)`.

    Raises:
        ImageError: a single page, or pages that differ in size or type.
    """
    planes = list(pages)
    if len(planes) == 1:
        fix = "name a NIfTI file or a TIFF of several pages"
        raise ImageError(f"{name} is a single picture", "a volume as the model was trained", fix)
    kinds = list(dict.fromkeys((p.shape, str(p.dtype)) for p in planes))
    if len(kinds) > 1:
        came = f"{name} has pages of {kinds[0]} and of {kinds[1]}"
        raise ImageError(came, "one size and type for a volume", "export the stack again")
    return np.stack(planes)


def image_files(folder: Path, channel_files: Sequence[ChannelFile] = (), structures: bool = False) -> list[Files]:
    """Images and volumes, or structures, in a folder, or in its subfolder `images`, sorted.

    Args:
        folder: to look into.
        channel_files: of the contract.
        structures: whether the model takes structures.

    Raises:
        DataError: no such folder or none in it.
        ImageError: a file that is no channel of a case, or a case that lacks one.
    """
    inner = folder / "images"
    place = inner if inner.is_dir() else folder
    found = (
        sorted(p for p in place.iterdir() if is_readable(p, structures) and p.name[0] != ".") if place.is_dir() else []
    )
    if not found:
        what, known = ("structures", STRUCTURES) if structures else ("images", IMAGES)
        raise DataError(f"{folder} has no {what}", f"a folder with {', '.join(known)} files", "check the path")
    if not channel_files:
        return [(path,) for path in found]
    cases, failed = group(found, channel_files)
    if failed:
        raise failed[0][1]
    return list(cases.values())


def whole_image(files: Files, contract: Contract) -> Array:
    """The first array of a file, see `images_of`; of several files the image of which each is a channel."""
    images = [next(images_of(read_bytes(path), str(path), contract)) for path in files]
    names = [str(path) for path in files]
    return images[0] if len(images) == 1 else stacked(images, names, contract.input.channel_files)
