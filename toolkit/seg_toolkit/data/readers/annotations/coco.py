"""Reader of annotations in the format of COCO: polygons and run lengths of objects, for many images in one JSON file.

NAME.json, or annotations/NAME.json     "images", "annotations" and "categories"
images/*, or any other folder            the images that it names

Each category is a class. Its mask value is its id; if a category has the id 0, which is the background here, the values
are one higher than the ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from seg_runtime.formats import FORMATS
from seg_runtime.support import DataError, list_files, parse_json, read_file

from ... import DataSet, Report, composed, reads, report_left_out
from .raster import Fill, OutlinedCase, Outlines, Region, Runs, data_set, head_of

_LAYOUT = 'DATA/NAME.json or DATA/annotations/NAME.json with "images", "annotations" and "categories", and the images'
_FEWEST_CORNERS = 3


def _fits_coco(root: Path) -> bool:
    """Whether a folder has a JSON file that looks like one of COCO."""
    return bool(_candidates(root))


@reads(_fits_coco)
def find_coco(root: Path, report: Report, file: str = "") -> DataSet:
    """Find the images that a file of annotations lists. Those without an object are background.

    Args:
        root: folder of the data set.
        report: called with a message about images that are missing and annotations that are left out.
        file: name of the file, if there are several.

    Raises:
        DataError: if there is no file of annotations or there are several, it is malformed, or no image is found.
    """
    found = [path for path in _candidates(root) if file in ("", path.name)]
    if not found:
        raise DataError(f"{root} has no {file or 'annotations in the format of COCO'}", _LAYOUT, "check the path")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(
            f"{root} has several files of annotations ({names})", "", f"choose one: --reader coco:file={found[0].name}"
        )
    path = found[0]
    try:
        return _read(root, path, parse_json(read_file(path).decode("utf-8-sig")), report)
    except DataError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({error!r})", _LAYOUT, "export the annotations again") from error


def _candidates(root: Path) -> list[Path]:
    """JSON files that begin like those of COCO."""
    files = [*list_files(root), *list_files(root / "annotations")]
    return [path for path in files if path.suffix.lower() == ".json" and _begins_as_coco(path)]


def _begins_as_coco(path: Path) -> bool:
    head = head_of(path)
    return any(key in head for key in (b'"annotations"', b'"categories"')) or (
        b'"images"' in head and b'"file_name"' in head
    )


def _read(root: Path, path: Path, content: Mapping[str, Any], report: Report) -> DataSet:
    first = int(any(entry["id"] == 0 for entry in content["categories"]))
    names = {str(entry["name"]): int(entry["id"]) + first for entry in sorted(content["categories"], key=_id)}
    if len(names) < len(content["categories"]) or "background" in names:
        names = {f"{entry['name']} {entry['id']}": int(entry["id"]) + first for entry in content["categories"]}
    files = _pictures(root)
    regions: dict[Any, list[Region]] = {entry["id"]: [] for entry in content["images"]}
    without: list[str] = []
    for entry in content["annotations"]:
        fill = _area(entry, f"{path}, annotation {entry['id']}")
        if fill is None:
            without.append(str(entry["id"]))
        else:
            area = float(entry.get("area") or _bounding(entry))
            regions[entry["image_id"]].append(Region(int(entry["category_id"]) + first, fill, area))
    report_left_out(report, without, f"annotations in {path.name} without an outline")
    cases: list[OutlinedCase] = []
    missing: list[str] = []
    for entry in sorted(content["images"], key=lambda entry: str(entry["file_name"])):
        name = composed(str(entry["file_name"]).replace("\\", "/"))
        image = _image(files, name)
        if image is None:
            missing.append(name)
            continue
        stem = str(PurePosixPath(name).with_suffix("")).replace("/", "_")
        cases.append(OutlinedCase(stem, image, tuple(regions[entry["id"]]), tuple(names.values()), str(path)))
    report_left_out(report, missing, f"images that {path.name} lists and {root} lacks")
    if not cases:
        raise DataError(f"{root} has none of the images that {path} lists", _LAYOUT, "copy them there")
    return data_set(cases, names)


def _id(entry: Mapping[str, Any]) -> int:
    return int(entry["id"])


def _pictures(root: Path) -> dict[str, list[Path]]:
    """Pictures in any subfolder, by file name."""
    found: dict[str, list[Path]] = {}
    for path in list_files(root, recursive=True):
        if FORMATS.is_picture(path):
            found.setdefault(composed(path.name), []).append(path)
    return found


def _image(files: Mapping[str, list[Path]], name: str) -> Path | None:
    """The file that ends with a name; None if there is none.

    Raises:
        DataError: if there are several.
    """
    same = files.get(PurePosixPath(name).name, [])
    ending = [path for path in same if composed(path.as_posix()).endswith(f"/{name.removeprefix('./')}")] or same
    if len(ending) > 1:
        raise DataError(f"{ending[0]} and {ending[1]} have the same name", "one file per name", "remove one of them")
    return ending[0] if ending else None


def _area(entry: Mapping[str, Any], title: str) -> Fill | None:
    """The area of an annotation: polygons, or runs as numbers or as COCO's text; None if it has none."""
    given = entry.get("segmentation")
    if isinstance(given, Mapping):
        height, width = (int(n) for n in given["size"])
        counts = given["counts"]
        return Runs(tuple(decoded(counts) if isinstance(counts, str) else map(int, counts)), (height, width), title)
    polygons = tuple(
        tuple(zip(map(float, part[::2]), map(float, part[1::2]), strict=True))
        for part in given or () if len(part) >= 2 * _FEWEST_CORNERS
    )  # fmt: skip
    return Outlines(polygons) if polygons else None


def _bounding(entry: Mapping[str, Any]) -> float:
    _, _, width, height = entry.get("bbox") or (0, 0, 0, 0)
    return float(width) * float(height)


def decoded(text: str) -> list[int]:
    """Decode the run lengths that COCO writes as text.

    Each number has groups of 5 bits, the lowest first, one per character from 48; the bit 32 says that more follow, and 16
    in the last group that the number is negative. From the fourth on, a number is the difference to the one two before.
    """
    numbers: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        group = character - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (1 << shift) if group & 16 else 0
            numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
            value = shift = 0
    return numbers
