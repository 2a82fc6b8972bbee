"""Volumes annotated in some of their slices, after Çiçek et al. 2016 (arXiv 1606.06650): images/NAME with labels/NAME.

Both are NIfTI volumes or TIFF stacks. Where the labels hold 255, or the value given as `--reader sparse:unknown=VALUE`, nobody
annotated: those voxels have weight 0 in training and are not counted in scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seg_runtime.formats.nifti import SUFFIXES
from seg_runtime.support.errors import DataError

from .volume import VolumeCase, volumes_in

UNKNOWN = "255"
STACKS = (".tif", ".tiff")
LAYOUT = "DATA/images/NAME.nii.gz or NAME.tif with DATA/labels of the same names"


def find_cases(root: Path, report: Callable[[str], None], unknown: str = UNKNOWN) -> Sequence[VolumeCase]:
    """The volumes that have labels.

    Args:
        root: the data set.
        report: told about files that match nothing.
        unknown: value of the labels where nobody annotated.

    Raises:
        DataError: another layout, or a value that is no integer.
    """
    try:
        value = int(unknown)
    except ValueError as error:
        raise DataError(
            f"--reader sparse:unknown={unknown}", "an integer such as sparse:unknown=255", "correct it"
        ) from error
    images, labels = (volumes_in(root / part, (*SUFFIXES, *STACKS)) for part in ("images", "labels"))
    names = sorted(set(images) & set(labels))
    if not names:
        raise DataError(f"{root} has no volume with labels", LAYOUT, "point to the folder that holds both")
    for what, there in (("images", images), ("labels", labels)):
        if odd := sorted(set(there) - set(names)):
            report(
                f"{len(odd)} in {what} without a match, left out: {', '.join(odd[:5])}{' …' if len(odd) > 5 else ''}"
            )
    return [VolumeCase(name, (images[name],), labels[name], value) for name in names]
