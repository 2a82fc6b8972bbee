"""Readers of volumes in NIfTI files or TIFF stacks: BraTS, the Medical Segmentation Decathlon, and sparse annotations.

brats     CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 and _seg, all on one grid
nifti     imagesTr/NAME.nii.gz, labelsTr/NAME.nii.gz and dataset.json, the layout of the Decathlon; also images/ with
          masks/ or labels/
sparse    images/NAME with labels/NAME, as in Çiçek et al. 2016 (arXiv 1606.06650): voxels with the label 255, or the
          VALUE of `--reader sparse:unknown=VALUE`, are not annotated; they have weight 0 in training and are left out
          of scores
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import FORMATS, Place, ReadOptions, read_bytes
from seg_runtime.model import Acquisition
from seg_runtime.support import METADATA_BYTES, DataError, parse_json, read_file

from .. import (
    Case,
    ClassValues,
    DataSet,
    Example,
    Report,
    SizeError,
    acquisition_of,
    by_name,
    composed,
    matched,
    parse_channels,
    reads,
    report_left_out,
    sized,
    to_integers,
    to_labels,
)

_SCANS = ("flair", "t1", "t1ce", "t2")  # the order of the channels
_BRATS = f"DATA/CASE/CASE_SCAN.nii.gz with SCAN {', '.join(_SCANS)} and seg"
_DECATHLON = "DATA/imagesTr/NAME.nii.gz with DATA/labelsTr/NAME.nii.gz, or DATA/images with DATA/masks"
_FOLDERS = (("imagesTr", "labelsTr"), ("images", "masks"), ("images", "labels"))
_SPARSE = "DATA/images/NAME.nii.gz or NAME.tif with DATA/labels of the same names"


def is_volume(path: Path) -> bool:
    """Return whether a file is named like a volume; of a pair, only the header is."""
    return FORMATS.get("nifti").named(path) and not path.name.lower().endswith((".img", ".img.gz"))


def _is_volume_or_stack(path: Path) -> bool:
    return is_volume(path) or path.suffix.lower() in (".tif", ".tiff")


@dataclass(frozen=True)
class VolumeCase(Case):
    """A case whose channels and labels are volumes on one grid.

    Attributes:
        name: name of the case, unique in its data set.
        channels: files of the image in order, each with one or more channels.
        labels: file of the ground truth.
        unknown: label of voxels without annotation; None if all are annotated.
    """

    name: str
    channels: tuple[Path, ...]
    labels: Path
    unknown: int | None = None

    def image(self) -> NDArray[Any]:
        """Read the image `(D, H, W, C)`."""
        return self._image()[0]

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.channels, axes=3)

    def values(self) -> dict[int, str]:
        """Values of the labels, without the value for voxels that are not annotated."""
        found = np.unique(_read_mask(self.labels)[0])
        return {int(v): str(self.labels) for v in found if v != self.unknown}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        image, place = self._image()
        mask, labels_place = _read_mask(self.labels)
        known = None
        if mask.shape != image.shape[:-1]:
            problem = (
                f"{self.name} has an image of {sized(image.shape[:-1])} voxels and labels of {sized(mask.shape)} voxels"
            )
            raise SizeError(problem, "equal sizes", "export both again")
        _check_place(place, labels_place, self.labels)
        if self.unknown is not None:
            known = mask != self.unknown
            if not known.any():
                problem = f"{self.labels} annotates no voxel"
                raise DataError(problem, f"values other than {self.unknown}", "leave this case out")
            mask = np.where(known, mask, classes[0].values[0])
        return Example(image, to_labels(mask, classes, str(self.labels)), known=known)

    def _image(self) -> tuple[NDArray[Any], Place]:
        first, place = _read(self.channels[0])
        parts = [first]
        for path in self.channels[1:]:
            part, its_place = _read(path)
            if part.shape[:-1] != first.shape[:-1]:
                problem = (
                    f"{path} has {sized(part.shape[:-1])} voxels, {self.channels[0].name} {sized(first.shape[:-1])}"
                )
                raise DataError(problem, "equal sizes in all channels of a case", "export them again")
            _check_place(place, its_place, path)
            parts.append(part)
        return (first if len(parts) == 1 else np.concatenate(parts, axis=-1)), place


def _check_place(place: Place, other: Place, path: Path) -> None:
    """Raise DataError if the voxels of a file and of the first file of its case, in the network's order, are at different
    places."""
    if not place.same_as(other):
        problem = f"{path} and the first file of its case have different voxel grids"
        raise DataError(problem, "one grid for all files of a case", "resample the file to the grid of the first")


def _read(path: Path) -> tuple[NDArray[Any], Place]:
    """Read a volume or stack `(D, H, W, C)` and the place of its voxels."""
    data = read_bytes(path)
    page = next(FORMATS.of(data, path).read(data, str(path), ReadOptions(axes=3, indices=True)))
    return page.array, page.place


def _read_mask(path: Path) -> tuple[NDArray[np.int64], Place]:
    """Read label values `(D, H, W)` and the place of their voxels.

    Raises:
        DataError: if the file has several channels, or values that are not integers.
    """
    values, place = _read(path)
    if values.shape[-1] != 1:
        raise DataError(f"{path} has {values.shape[-1]} channels", "one label per voxel", "correct the file")
    return to_integers(values[..., 0], path), place


def _fits_brats(root: Path) -> bool:
    """Whether a folder has a case with the scan flair."""
    folders = _case_folders(root) if root.is_dir() else []
    return any((folder / f"{folder.name}_flair{end}").is_file() for folder in folders for end in (".nii.gz", ".nii"))


@reads(_fits_brats)
def find_brats(root: Path, report: Report) -> DataSet:
    """Find cases with the four channels flair, t1, t1ce, t2.

    Args:
        root: folder of the data set; cases are its folders, or those in its folders HGG and LGG.
        report: called with a message about cases without labels, such as those of the challenge's validation set.

    Raises:
        DataError: if there is no case, or a case lacks a scan.
    """
    cases: list[VolumeCase] = []
    without_labels: list[str] = []
    for folder in _case_folders(root):
        volumes = by_name(folder, is_volume)
        scans = {scan: volumes.get(f"{folder.name}_{scan}") for scan in (*_SCANS, "seg")}
        if not any(scans.values()):
            continue
        if missing := [scan for scan in _SCANS if scans[scan] is None]:
            raise DataError(f"{folder} lacks {folder.name}_{missing[0]}.nii.gz", _BRATS, "copy it there")
        if (labels := scans["seg"]) is None:
            without_labels.append(folder.name)
            continue
        files = tuple(path for scan in _SCANS if (path := scans[scan]))
        cases.append(VolumeCase(folder.name, files, labels))
    report_left_out(report, without_labels, "volumes without labels")
    if not cases:
        raise DataError(f"{root} has no case with labels", _BRATS, "give the folder that contains the cases")
    return DataSet(tuple(cases), channel_files=parse_channels("+".join(f"_{scan}" for scan in _SCANS)))


def _case_folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root} is not a folder", _BRATS, "check the path")
    inside = sorted(p for p in root.iterdir() if p.is_dir())
    graded = [p for p in inside if p.name in ("HGG", "LGG")]
    return sorted(p for folder in graded or [root] for p in folder.iterdir() if p.is_dir())


def _fits_decathlon(root: Path) -> bool:
    """Whether a folder has volumes and labels of the same names."""
    return any(
        by_name(root / part, is_volume).keys() & by_name(root / other, is_volume).keys() for part, other in _FOLDERS
    )


@reads(_fits_decathlon)
def find_decathlon(root: Path, report: Report) -> DataSet:
    """Find the training cases in dataset.json; without that file, all cases that have labels.

    Args:
        root: folder of the data set.
        report: called with a message about files without a match.

    Raises:
        DataError: if the layout is different, dataset.json is damaged, or a file that it lists is missing.
    """
    parts = next((f for f in _FOLDERS if all(by_name(root / part, is_volume) for part in f)), _FOLDERS[0])
    images, labels = (by_name(root / part, is_volume) for part in parts)
    if not images or not labels:
        which = parts[0] if not images else parts[1]
        raise DataError(f"{root / which} has no NIfTI volumes", _DECATHLON, "give the folder that contains both")
    listed = _listed(root / "dataset.json")
    names = sorted(listed) if listed else sorted(images.keys() & labels.keys())
    for what, there in zip(parts, (images, labels), strict=True):
        if missing := [name for name in listed if name not in there]:
            raise DataError(f"{root / what} lacks {missing[0]}, which dataset.json lists", _DECATHLON, "copy it there")
        report_left_out(report, there.keys() - set(names), f"files in {what} without a case")
    if not names:
        raise DataError(f"no volume in {root} has the name of its labels", _DECATHLON, "rename the files")
    return DataSet(tuple(VolumeCase(name, (images[name],), labels[name]) for name in names))


def _listed(path: Path) -> list[str]:
    """Names of the training cases in dataset.json; empty if the file does not exist."""
    try:
        entries = parse_json(read_file(path, METADATA_BYTES))["training"]
        files = [entry["image"] if isinstance(entry, dict) else entry for entry in entries]
        return [composed(file.rsplit("/", 1)[-1].removesuffix(".gz").removesuffix(".nii")) for file in files]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        expected = 'a list "training" of {"image": …, "label": …}'
        raise DataError(f"{path} cannot be read ({error!r})", expected, "correct or remove the file") from error


def find_sparse(root: Path, report: Report, unknown: str = "255") -> DataSet:
    """Find the volumes that have labels, which may be partly annotated.

    Args:
        root: folder of the data set.
        report: called with a message about files without a match.
        unknown: label of voxels without annotation.

    Raises:
        DataError: if the layout is different, or `unknown` is not an integer.
    """
    try:
        value = int(unknown)
    except ValueError as error:
        problem = f"--reader has sparse:unknown={unknown}"
        raise DataError(problem, "an integer such as sparse:unknown=255", "correct the value") from error
    images, labels = (by_name(root / part, _is_volume_or_stack) for part in ("images", "labels"))
    names = matched(report, (images, "images without labels"), (labels, "masks in labels without an image"))
    if not names:
        raise DataError(f"{root} has no volume with labels", _SPARSE, "give the folder that contains both")
    return DataSet(tuple(VolumeCase(name, (images[name],), labels[name], value) for name in names))
