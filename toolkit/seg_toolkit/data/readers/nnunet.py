"""Reader of the raw layout of nnU-Net, for images and volumes.

imagesTr/CASE_0000.*, CASE_0001.*, …     one file for each channel; or one colour image CASE_0000.*
labelsTr/CASE.*
dataset.json                             "labels": {"background": 0, "cell": 1}, "channel_names": {"0": "DAPI"}, …

A label may be a list of values, a region. Regions overlap, classes do not, so a value belongs to the last region that
contains it, in the order in which nnU-Net draws them. The label "ignore" marks pixels that are not annotated. In the first
version of the format, labels are {"0": "background", "1": "cell"}.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seg_runtime.formats import FORMATS
from seg_runtime.model import ChannelFile
from seg_runtime.support import METADATA_BYTES, DataError, parse_json, read_file

from .. import (
    Case,
    ClassValues,
    DataSet,
    Report,
    by_name,
    composed,
    matched,
    page_count,
    reads,
    with_ignored,
)
from .channels import ChannelsCase
from .pairs import PairCase
from .volumes import VolumeCase, is_volume

_LAYOUT = "DATA/imagesTr/CASE_0000.* with DATA/labelsTr/CASE.* and DATA/dataset.json"
_CHANNEL = re.compile(r"(.+)(_\d{4})")
_IGNORE = "ignore"


def _fits_nnunet(root: Path) -> bool:
    """Whether a folder has labels, and images that are named like them with the number of a channel."""
    return any(f"{name}_0000" in _named(root / "imagesTr") for name in _named(root / "labelsTr"))


@reads(_fits_nnunet)
def find_nnunet(root: Path, report: Report) -> DataSet:
    """Find the cases that have labels.

    Args:
        root: folder of the data set.
        report: called with a message about images without labels and labels without an image.

    Raises:
        DataError: if the layout is different, dataset.json is damaged, or a case lacks a channel.
    """
    found, labels = _by_case(root / "imagesTr"), _named(root / "labelsTr")
    if not found or not labels:
        which = "images CASE_0000.* in imagesTr" if not found else "labels in labelsTr"
        raise DataError(f"{root} has no {which}", _LAYOUT, "give the folder that contains both")
    names = matched(
        report, (found, "images in imagesTr without labels"), (labels, "masks in labelsTr without an image")
    )
    if not names:
        raise DataError(f"no image in {root} has the name of its labels", _LAYOUT, "rename the files")
    about = _about(root / "dataset.json")
    endings = sorted({ending for name in names for ending in found[name]})
    wanted = about.get("channel_names", about.get("modality", endings))
    if len(endings) > 1 and len(wanted) != len(endings):  # one file may hold several channels, as a colour image does
        problem = f"{root} has {len(endings)} files for each case, but dataset.json lists {len(wanted)} channels"
        raise DataError(problem, "one file for each channel", "add the files, or correct dataset.json")
    cases: list[Case] = []
    for name in names:
        if missing := [ending for ending in endings if ending not in found[name]]:
            raise DataError(f"{root / 'imagesTr'} lacks {name}{missing[0]}", _LAYOUT, "copy it there")
        cases.append(_case(name, tuple(found[name][ending] for ending in endings), labels[name]))
    channels = tuple(ChannelFile(ending, 1) for ending in endings) if len(endings) > 1 else ()
    classes, ignored = _classes(about, root / "dataset.json", report)
    data = DataSet(tuple(cases), channel_files=channels, classes=classes)
    return with_ignored(data, "+".join(map(str, ignored))) if ignored else data


def _case(name: str, images: tuple[Path, ...], labels: Path) -> Case:
    if is_volume(images[0]) or page_count(labels, indices=True) > 1:
        return VolumeCase(name, images, labels)
    return (
        PairCase(name, images[0], labels)
        if len(images) == 1
        else ChannelsCase(name, images[0], labels, image_files=images)
    )


def _named(folder: Path) -> dict[str, Path]:
    return by_name(folder, lambda path: FORMATS.is_picture(path) or is_volume(path))


def _by_case(folder: Path) -> dict[str, dict[str, Path]]:
    """Files of each case, by the ending of the channel."""
    found: dict[str, dict[str, Path]] = {}
    for name, path in _named(folder).items():
        if match := _CHANNEL.fullmatch(name):
            found.setdefault(composed(match[1]), {})[match[2]] = path
    return found


def _about(path: Path) -> dict[str, Any]:
    """The content of dataset.json; empty if the file does not exist."""
    try:
        content = parse_json(read_file(path, METADATA_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error!r})", _LAYOUT, "correct or remove the file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} contains no JSON object", _LAYOUT, "correct or remove the file")
    return content


def _classes(about: Mapping[str, Any], path: Path, report: Report) -> tuple[tuple[ClassValues, ...], Sequence[int]]:
    """Classes and ignored values from the labels in dataset.json; no classes if it has none."""
    try:
        labels = _by_label(about.get("labels", {}))
        order = [int(v) for v in about.get("regions_class_order", ())]
    except (ValueError, TypeError, AttributeError) as error:
        expected = '"labels" such as {"background": 0, "cell": 1}'
        raise DataError(f"{path} has labels that cannot be read ({error})", expected, "correct the file") from error
    ignored = labels.pop(_IGNORE, ())
    names = sorted(labels, key=lambda name: 0 not in labels[name])  # the background first
    last = {value: name for name in names for value in labels[name]}
    classes = {name: tuple(v for v, owner in sorted(last.items()) if owner == name) for name in names}
    if any(len(values) > 1 for values in labels.values()):
        shown = ", ".join(f"{name}={'+'.join(map(str, values))}" for name, values in classes.items())
        report(f"regions overlap, classes do not: {shown}")
    if hidden := [name for name, values in classes.items() if not values]:
        problem = f"{path} has the region {hidden[0]}, which later regions cover"
        raise DataError(problem, "regions in the order from the outer to the inner", "name the classes with --classes")
    if order and len(order) != len(names) - 1:
        problem = f"{path} has {len(order)} entries in regions_class_order"
        raise DataError(problem, f"{len(names) - 1}, one for each region", "correct the file")
    return (ClassValues.named(classes) if len(classes) > 1 else ()), ignored


def _by_label(given: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Values of each label, from either version of the format."""
    if given and all(key.isdigit() for key in given):
        return {str(name): (int(value),) for value, name in given.items()}
    return {
        name: tuple(int(v) for v in (value if isinstance(value, list) else [value])) for name, value in given.items()
    }
