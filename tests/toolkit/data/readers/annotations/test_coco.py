from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.checkpoints import load
from seg_toolkit.data.readers.annotations.coco import decoded

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL
from tests.support.images import put
from tests.support.masks import chosen

HEIGHT, WIDTH = 40, 60
SQUARE = [10, 10, 20, 10, 20, 20, 10, 20]
INNER = [12, 12, 15, 12, 15, 15, 12, 15]


def annotation(number: int, category: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 1, "category_id": category, "segmentation": segmentation, **more}


def write(
    root: Path,
    *annotations: dict[str, Any],
    ids: tuple[int, int] = (3, 7),
    place: str = "images",
    file: str = "annotations/train.json",
) -> Path:
    images = [
        {"id": n, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH} for n, name in ((1, "a"), (2, "b"))
    ]
    categories = [{"id": i, "name": name} for i, name in zip(ids, ("cell", "nucleus"), strict=True)]
    for image in images:
        put(
            root / place / str(image["file_name"]),
            np.random.default_rng(image["id"]).integers(0, 255, (HEIGHT, WIDTH), np.uint8),
        )
    path = root / file
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": categories}))
    return root


BOTH = (annotation(1, 7, [INNER], area=9), annotation(2, 3, [SQUARE, [30, 0, 34, 0, 34, 4, 30, 4]], area=116))


@pytest.mark.parametrize(
    ("place", "file"), [("images", "annotations/train.json"), (".", "coco.json"), ("deep/er", "_annotations.coco.json")]
)
def test_categories_are_classes_and_objects_are_instances(tmp_path: Path, place: str, file: str) -> None:
    data, classes, _ = chosen(write(tmp_path, *BOTH, place=place, file=file))
    assert [(entry.info.name, entry.values) for entry in classes] == [
        ("background", (0,)),
        ("cell", (3,)),
        ("nucleus", (7,)),
    ]
    with_objects, without = (case.read(classes) for case in data.cases)
    assert np.bincount(with_objects.labels.ravel()).tolist() == [
        HEIGHT * WIDTH - 116,
        107,
        9,
    ]  # the smaller one is on top
    assert with_objects.instances is not None
    assert np.bincount(with_objects.instances.ravel()).tolist() == [HEIGHT * WIDTH - 116, 107, 9]
    assert not without.labels.any()


@pytest.mark.parametrize("text", [False, True])
def test_runs_of_crowds(tmp_path: Path, text: bool) -> None:
    before = HEIGHT * 30 + 5
    counts: Any = [before, 10, HEIGHT * WIDTH - before - 10]
    if text:
        counts = encoded(counts)
        assert decoded(counts) == [before, 10, HEIGHT * WIDTH - before - 10]
    crowd = annotation(1, 3, {"size": [HEIGHT, WIDTH], "counts": counts}, iscrowd=1)
    data, classes, _ = chosen(write(tmp_path, crowd))
    rows, columns = np.nonzero(data.cases[0].read(classes).labels)
    assert (rows.tolist(), set(columns)) == (list(range(5, 15)), {30})


def encoded(counts: list[int]) -> str:
    """Groups of 5 bits, the lowest first, with 32 for more; from the fourth on differences."""
    text = ""
    for place, count in enumerate(counts):
        number = count - (counts[place - 2] if place > 2 else 0)
        while True:
            group, number = number & 31, number >> 5
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


def test_text_of_runs_with_differences() -> None:
    counts = [6, 1, 40, 4, 1000, 5, 2, 70000]
    assert decoded(encoded(counts)) == counts


def test_a_category_with_the_id_of_the_background_moves_all(tmp_path: Path) -> None:
    data, classes, _ = chosen(write(tmp_path, annotation(1, 0, [SQUARE]), ids=(0, 1)))
    assert [entry.values for entry in classes] == [(0,), (1,), (2,)]
    assert (data.cases[0].read(classes).labels == 1).sum() == 100


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    write(tmp_path, *BOTH, annotation(9, 3, []))
    (tmp_path / "images" / "b.png").unlink()
    data, _, said = chosen(tmp_path)
    assert len(data.cases) == 1
    assert any("without an outline, left out: 9" in line for line in said)
    assert any("lacks, left out: b.png" in line for line in said)


def test_several_files_are_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path, *BOTH)
    write(tmp_path, *BOTH, file="annotations/val.json")
    with pytest.raises(DataError, match=r"--reader coco:file=train\.json"):
        chosen(tmp_path)
    assert chosen(tmp_path, reader="coco:val.json")[0].reader == "coco:val.json"


def test_a_damaged_file_is_a_plain_error(tmp_path: Path) -> None:
    write(tmp_path, {"id": 1, "image_id": 5, "category_id": 3, "segmentation": [SQUARE]})
    with pytest.raises(DataError, match=r"train\.json cannot be read"):
        chosen(tmp_path)


def test_evaluation_reads_coco_again(tmp_path: Path) -> None:
    ok(seg_train(write(tmp_path / "d", *BOTH), "-o", tmp_path / "m.pt", *SMALL, "--steps", 1))
    assert load(tmp_path / "m.pt").reader == "coco"
    assert "nucleus" in ok(seg_edge("evaluate", tmp_path / "m.pt", tmp_path / "d", "--include-training")).stdout
