"""A case of volumes: one file, or one a channel, and labels on the same grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, Place, ReadOptions, read_bytes
from seg_runtime.model.input import ChannelFile
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError

from ...case import Case, Example, sized
from ...folder import ClassValues, to_labels


@dataclass(frozen=True)
class VolumeCase(Case):
    """A case whose channels and labels are NIfTI files or TIFF stacks.

    Attributes:
        name: unique in its data set.
        channels: files of the image, each of one channel or more, in their order.
        labels: file of the ground truth.
        unknown: value of the labels where nobody annotated; None where all of it is.
        files: of the contract; empty where the channels are no files of one case.
    """

    name: str
    channels: tuple[Path, ...]
    labels: Path
    unknown: int | None = None
    files: tuple[ChannelFile, ...] = ()

    @property
    def channel_files(self) -> tuple[ChannelFile, ...]:
        """How their names end."""
        return self.files

    def image(self) -> Array:
        """`(D, H, W, C)`."""
        return self._image()[0]

    def values(self) -> dict[int, str]:
        """Of the labels, less what means that nobody annotated."""
        found = np.unique(_whole(_read(self.labels)[0], self.labels))
        return {int(v): str(self.labels) for v in found if v != self.unknown}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`."""
        image, grid = self._image()
        values, labels_grid = _read(self.labels)
        mask, known = _whole(values, self.labels), None
        if mask.shape != image.shape[:-1]:
            came = f"{self.name}: image of {sized(image.shape[:-1])}, labels of {sized(mask.shape)} voxels"
            raise DataError(came, "one size", "export them again")
        _check_place(grid, labels_grid, self.labels)
        if self.unknown is not None:
            known = mask != self.unknown
            if not known.any():
                raise DataError(
                    f"{self.labels} annotates no voxel", f"values other than {self.unknown}", "leave it out"
                )
            mask = np.where(known, mask, classes[0].values[0])
        return Example(image, to_labels(mask, classes, str(self.labels)), known=known)

    def _image(self) -> tuple[Array, Place]:
        first, grid = _read(self.channels[0])
        parts = [first]
        for path in self.channels[1:]:
            part, its_grid = _read(path)
            if part.shape[:-1] != first.shape[:-1]:
                came = f"{path} has {sized(part.shape[:-1])} voxels, {self.channels[0].name} {sized(first.shape[:-1])}"
                raise DataError(came, "one size for all channels of a case", "export them again")
            _check_place(grid, its_grid, path)
            parts.append(part)
        return (first if len(parts) == 1 else np.concatenate(parts, axis=-1)), grid


def _read(path: Path) -> tuple[Array, Place]:
    data = read_bytes(path)
    page = next(FORMATS.of(data, path).read(data, str(path), ReadOptions(axes=3, indices=True)))
    return page.array, page.place


def _check_place(grid: Place, other: Place, path: Path) -> None:
    """Refuse a file whose voxels lie elsewhere than those of the case's first one."""
    if not grid.same_as(other):
        raise DataError(f"{path} has another affine than its case's first file", "one grid", "resample it to that")


def _whole(values: Array, path: Path) -> NDArray[np.int64]:
    """Label values `(D, H, W)`.

    Raises:
        DataError: several channels, or values that are no integers.
    """
    if values.shape[-1] != 1:
        raise DataError(f"{path} has {values.shape[-1]} channels", "labels of one value a voxel", "correct it")
    whole = values[..., 0].astype(np.int64)
    if values.dtype.kind == "f" and (whole != values[..., 0]).any():
        raise DataError(f"{path} has fractional values", "integers", "save it as a label map")
    return whole


def volumes_in(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Files of a folder with one of these suffixes, by their names without it, sorted.

    Raises:
        DataError: two files of one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        suffix = next((s for s in sorted(suffixes, key=len, reverse=True) if path.name.lower().endswith(s)), None)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise DataError(f"{path} and {found[name].name} have one name", "one file per name", "remove one")
        found[name] = path
    return found
