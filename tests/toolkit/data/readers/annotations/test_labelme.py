from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_runtime.support import DataError

from tests.support.images import put
from tests.support.masks import chosen

SQUARE = [[10, 10], [20, 10], [20, 20], [10, 20]]


def shape(label: str, points: Any = SQUARE, kind: str = "polygon", group: int | None = None) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}}


def write(root: Path, *shapes: dict[str, Any], name: str = "a", image: str = "a.png") -> Path:
    put(root / f"{name}.png", np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8))
    content = {"version": "5.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
    (root / f"{name}.json").write_text(json.dumps(content))
    return root


def test_labels_are_classes(tmp_path: Path) -> None:
    moved = [[x + 30, y] for x, y in SQUARE]
    data, classes, said = chosen(write(tmp_path, shape("nucleus, big"), shape("cell", moved)))
    assert said == [f"reader: labelme (the layout of {tmp_path})"]
    assert data.reader == "labelme:labels=cell+nucleus%2C big"
    assert [entry.info.name for entry in classes] == ["background", "cell", "nucleus, big"]
    example = data.cases[0].read(classes)
    assert (example.labels[15, 45], example.labels[15, 15], (example.labels > 0).sum()) == (1, 2, 200)
    assert example.instances is not None
    assert example.instances.max() == 2


@pytest.mark.parametrize(
    ("kind", "points", "area"),
    [("rectangle", [[10, 10], [20, 30]], 200), ("circle", [[30, 20], [40, 20]], 314), ("rectangle", SQUARE, 100)],
)
def test_shapes_with_an_area(tmp_path: Path, kind: str, points: Any, area: int) -> None:
    data, classes, _ = chosen(write(tmp_path, shape("cell", points, kind)))
    assert (data.cases[0].read(classes).labels == 1).sum() == pytest.approx(area, rel=0.03)


def test_shapes_of_a_group_are_one_object(tmp_path: Path) -> None:
    data, classes, _ = chosen(
        write(tmp_path, shape("cell", group=1), shape("cell", [[x + 30, y] for x, y in SQUARE], group=1))
    )
    instances = data.cases[0].read(classes).instances
    assert instances is not None
    assert np.bincount(instances.ravel()).tolist() == [2200, 200]


def test_ignored_and_background_shapes(tmp_path: Path) -> None:
    inner = [[12, 12], [15, 12], [15, 15], [12, 15]]
    row = [[0, 0], [60, 2]]
    data, classes, _ = chosen(
        write(tmp_path, shape("cell"), shape("_background_", inner), shape("__ignore__", row, "rectangle"))
    )
    example = data.cases[0].read(classes)
    assert example.known is not None
    assert ((example.labels == 1).sum(), (~example.known).sum()) == (91, 120)


def test_points_and_lines_are_left_out(tmp_path: Path) -> None:
    said = chosen(write(tmp_path, shape("cell"), shape("seed", [[1, 1]], "point")))[2]
    assert "1 shape in a.json without an area, left out: seed (point)" in said


def test_images_are_found_by_the_stated_path_or_the_name(tmp_path: Path) -> None:
    write(tmp_path, shape("cell"), image="..\\images\\elsewhere.png")
    assert [case.name for case in chosen(tmp_path)[0].cases] == ["a"]


def test_an_unknown_label_is_named(tmp_path: Path) -> None:
    write(tmp_path, shape("dog"))
    with pytest.raises(DataError, match=r"a\.json has the label 'dog'; expected cat, cow"):
        chosen(tmp_path, reader="labelme:labels=cat+cow")
    assert chosen(tmp_path, reader="labelme:labels=cat+dog")[1][2].info.name == "dog"


def test_a_damaged_shape_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json has shapes that cannot be read"):
        chosen(write(tmp_path, shape("cell", [["x", 1], [2, 2], [3, 3]])))
