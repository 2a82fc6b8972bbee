"""Reader of LabelMe: one JSON file with outlines for each image.

NAME.json, in DATA or any subfolder     "imagePath" and "shapes": polygons, rectangles and circles, each with a label
NAME.jpg                                the image, beside it or in any other folder

Each label is a class; their order, which gives them the mask values 1, 2, …, is kept in the reader's option `labels`.
Shapes of one "group_id" are one object. As in LabelMe, `_background_` is the background, and `__ignore__` marks pixels
that are not annotated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import quote, unquote

from seg_runtime.formats import FORMATS, stem_of
from seg_runtime.support import DataError, list_files, parse_json, read_file

from ... import DataSet, Report, by_name, composed, reads, report_left_out
from .raster import OutlinedCase, Outlines, Region, data_set, head_of

_LAYOUT = 'NAME.json with "imagePath" and "shapes" for each image'
_BACKGROUND, _IGNORE, _VOID = "_background_", "__ignore__", -2
_CIRCLE_CORNERS = 64


def _fits_labelme(root: Path) -> bool:
    """Whether a folder has files of LabelMe."""
    return any(_begins_as_labelme(path) for path in _files(root)[:3])


@reads(_fits_labelme)
def find_labelme(root: Path, report: Report, labels: str = "") -> DataSet:
    """Find the images that have a JSON file.

    Args:
        root: folder of the data set.
        report: called with a message about images that are missing and shapes that are left out.
        labels: labels in the order of their mask values, 1 for the first: `cell+nucleus`; empty for all, sorted. Signs
            with a meaning in options are written as %2B (+), %2C (,), %3D (=).

    Raises:
        DataError: if there is no such file, one is malformed, or no image is found.
    """
    files = {path: _content(path) for path in _files(root) if _begins_as_labelme(path)}
    if not files:
        raise DataError(f"{root} has no files of LabelMe", _LAYOUT, "give the folder that contains them")
    shapes = {path: _shapes(path, content, report) for path, content in files.items()}
    there = {label for found in shapes.values() for label, _ in found} - {_BACKGROUND, _IGNORE}
    names = [unquote(label) for label in labels.split("+")] if labels else sorted(there)
    if odd := sorted(there - set(names)):
        path = next(path for path, found in shapes.items() if any(label == odd[0] for label, _ in found))
        raise DataError(
            f"{path} has the label {odd[0]!r}", ", ".join(names), "correct it, or use a model with this class"
        )
    values = {name: number for number, name in enumerate(names, 1)}
    pictures = by_name(root, FORMATS.is_picture, recursive=True)
    cases: list[OutlinedCase] = []
    missing: list[str] = []
    for path, found in shapes.items():
        stated = PureWindowsPath(str(files[path].get("imagePath", path.name)))  # both kinds of slashes
        image = pictures.get(composed(stem_of(Path(stated.name)))) or pictures.get(composed(path.stem))
        if image is None:
            missing.append(path.name)
            continue
        numbers = {**values, _BACKGROUND: 0, _IGNORE: _VOID}
        regions = tuple(Region(numbers[label], area, _size(area)) for label, area in found)
        void = _VOID if any(label == _IGNORE for label, _ in found) else None
        cases.append(OutlinedCase(composed(path.stem), image, regions, tuple(values.values()), str(path), void))
    report_left_out(report, missing, "annotations without an image")
    if not cases:
        raise DataError(f"{root} has no image of its JSON files", _LAYOUT, "copy the images there")
    listed = "+".join(quote(name, safe=" ") for name in names)
    return data_set(cases, values, f"labelme:labels={listed}")


def _files(root: Path) -> list[Path]:
    return [path for path in list_files(root, recursive=True) if path.suffix.lower() == ".json"]


def _begins_as_labelme(path: Path) -> bool:
    head = head_of(path)
    return b'"shapes"' in head and (b'"imagePath"' in head or b'"points"' in head)


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content = parse_json(read_file(path).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error})", _LAYOUT, "save it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} contains no JSON object", _LAYOUT, "save it again")
    return content


def _shapes(path: Path, content: Mapping[str, Any], report: Report) -> list[tuple[str, Outlines]]:
    """Labels and areas of the objects of a file."""
    groups: dict[Any, list[Any]] = {}
    left_out: list[str] = []
    try:
        for number, shape in enumerate(content["shapes"]):
            kind, points = shape.get("shape_type") or "polygon", [(float(x), float(y)) for x, y in shape["points"]]
            if (corners := _corners(kind, points)) is None:
                left_out.append(f"{shape['label']} ({kind})")
                continue
            group = shape.get("group_id")
            groups.setdefault((str(shape["label"]), number if group is None else f"group {group}"), []).append(corners)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} has shapes that cannot be read ({error!r})", _LAYOUT, "save it again") from error
    report_left_out(report, left_out, f"shapes in {path.name} without an area")
    return [(label, Outlines(tuple(polygons))) for (label, _), polygons in groups.items()]


def _corners(kind: str, points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...] | None:
    """The polygon of a shape; None if it has no area."""
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        return (left, top), (right, top), (right, bottom), (left, bottom)
    if kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        turns = (2 * math.pi * n / _CIRCLE_CORNERS for n in range(_CIRCLE_CORNERS))
        return tuple((x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns)
    return tuple(points) if kind in ("polygon", "rectangle") and len(points) > 2 else None


def _size(area: Outlines) -> float:
    """Area in px² of all polygons together, by the shoelace formula."""
    return sum(
        abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(p, (*p[1:], p[0]), strict=True))) / 2
        for p in area.polygons
    )
