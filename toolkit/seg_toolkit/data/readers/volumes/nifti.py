"""The layout of the Medical Segmentation Decathlon: imagesTr/NAME.nii.gz, labelsTr/NAME.nii.gz, dataset.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from seg_runtime.formats.nifti import SUFFIXES
from seg_runtime.support.errors import DataError

from .volume import VolumeCase, volumes_in

LAYOUT = "DATA/imagesTr/NAME.nii.gz with DATA/labelsTr/NAME.nii.gz"


def find_cases(root: Path, report: Callable[[str], None]) -> Sequence[VolumeCase]:
    """The cases that dataset.json lists for training; without that file all that have labels.

    Args:
        root: the data set.
        report: told about files that match nothing.

    Raises:
        DataError: another layout, a damaged dataset.json, or a file that it lists and that is not there.
    """
    images, labels = (volumes_in(root / part, SUFFIXES) for part in ("imagesTr", "labelsTr"))
    if not images or not labels:
        which = "imagesTr" if not images else "labelsTr"
        raise DataError(f"{root / which} has no NIfTI volumes", LAYOUT, "point to the folder that holds both")
    listed = _listed(root / "dataset.json")
    names = sorted(listed) if listed else sorted(set(images) & set(labels))
    for what, there in (("imagesTr", images), ("labelsTr", labels)):
        if missing := [name for name in listed if name not in there]:
            raise DataError(f"{root / what} lacks {missing[0]}, which dataset.json lists", LAYOUT, "copy it there")
        if odd := sorted(set(there) - set(names)):
            report(
                f"{len(odd)} in {what} that are no cases, left out: {', '.join(odd[:5])}{' …' if len(odd) > 5 else ''}"
            )
    if not names:
        raise DataError(f"no volume in {root} has the name of its labels", LAYOUT, "rename them")
    return [VolumeCase(name, (images[name],), labels[name]) for name in names]


def _listed(path: Path) -> list[str]:
    """Names of the training cases in dataset.json; none where there is no such file."""
    try:
        entries = json.loads(path.read_text("utf-8"))["training"]
        return [_name(entry["image"] if isinstance(entry, dict) else entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = 'a list "training" of {"image": …, "label": …}'
        raise DataError(f"{path} cannot be read ({error!r})", wanted, "correct or remove it") from error


def _name(listed: str) -> str:
    """The case of `./imagesTr/NAME.nii.gz`."""
    name = listed.rsplit("/", 1)[-1]
    return name.removesuffix(".gz").removesuffix(".nii")
