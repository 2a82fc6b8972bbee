from __future__ import annotations

import csv
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime import SegError, Segmenter
from seg_runtime.batch import BatchOptions, check_summary, find_tasks, run_tasks, write_summary
from seg_runtime.formats import Output, Source
from skimage.measure import label

from tests.support.bright import two_tone
from tests.support.images import put
from tests.support.models import MakeModel
from tests.support.pictures import tiff


@pytest.fixture(scope="module")
def segmenter(bright_model: Path) -> Segmenter:
    return Segmenter(bright_model, provider="cpu", threads=1)


def field(path: Path, seed: int = 0) -> Path:
    """An image of some objects."""
    return put(path, two_tone(seed))


def go(segmenter: Segmenter, inputs: list[Path], out: Path, **options: Any) -> list[str]:
    how = BatchOptions(**{"measure": True, **options})
    tasks, _ = find_tasks(inputs, out, True, segmenter.contract, how)
    ended = [str(result) for _, result in run_tasks(segmenter, tasks, how)]
    write_summary(out, tasks, how)
    return ended


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_image_and_page(segmenter: Segmenter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    field(tmp_path / "in" / "a.png")
    field(tmp_path / "in" / "deep" / "b.png", seed=2)
    (tmp_path / "in" / "stack.tif").write_bytes(tiff([two_tone(seed)[..., None] for seed in (4, 5)]))
    assert go(segmenter, [tmp_path / "in"], out, smallest_object=150) == ["done"] * 3
    rows = table(out / "summary.csv")
    assert [(row["name"], row["file"], row["page"]) for row in rows] == [
        ("a", "a.png", "1"), ("deep/b", "b.png", "1"), ("stack", "stack.tif", "1"), ("stack", "stack.tif", "2"),
    ]  # fmt: skip
    masks = [np.asarray(Image.open(out / f"{n}_mask.png")) for n in ("a", "deep/b")]
    for row, mask in zip(rows, [*masks, *tifffile.imread(out / "stack_mask.tif")], strict=True):
        areas = np.bincount(label(mask, connectivity=1).ravel())[1:]
        kept = areas[areas >= 150]
        assert 0 < len(kept) < len(areas)
        assert (int(row["objects"]), int(row["area"])) == (len(kept), kept.sum())
        assert float(row["density_per_px2"]) == len(kept) / mask.size
        assert (int(row["bright objects"]), float(row["bright share"])) == (len(kept), kept.sum() / mask.size)
        assert float(row["bright mean_area"]) == kept.sum() / len(kept)
    assert {row["model"] for row in rows} == {segmenter.model_sha256[:12]}
    assert list(rows[0])[-2:] == ["model", "warnings"]
    objects = table(out / "stack_objects.csv")
    assert [sum(row["page"] == page for row in objects) for page in "12"] == [int(r["objects"]) for r in rows[2:]]


@pytest.mark.parametrize("wanted", [{"measure": True}, {"measure": False, "save": ("geojson",)}])
def test_pages_that_wait_to_be_written_hold_no_probabilities(
    segmenter: Segmenter, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff([two_tone(seed)[..., None] for seed in (4, 5)]))
    held: list[bool] = []

    def looked_at(results: Sequence[Any], source: Source) -> tuple[str, Any]:
        held.extend(result._probabilities is not None for result in results)
        return ".txt", lambda file: file.write(b"")

    for more, expected in ({}, [False, False]), ({"probabilities": "tiff"}, [True, True]):
        held.clear()
        how = BatchOptions(overwrite=True, **wanted, **more)
        (task,), _ = find_tasks([path], tmp_path / "out", True, segmenter.contract, how)
        task = replace(task, outputs=(Output("seen", (".txt",), looked_at), *task.outputs))
        assert [str(result) for _, result in run_tasks(segmenter, [task], how)] == ["done"]
        assert held == expected


def test_it_is_the_same_after_an_interrupted_run(segmenter: Segmenter, tmp_path: Path) -> None:
    paths = [field(tmp_path / f"{i}.png", seed=i) for i in range(3)]
    go(segmenter, paths, tmp_path / "whole")
    assert go(segmenter, paths[:2], tmp_path / "out") == ["done", "done"]
    assert go(segmenter, paths, tmp_path / "out") == ["skipped", "skipped", "done"]
    assert (tmp_path / "out" / "summary.csv").read_bytes() == (tmp_path / "whole" / "summary.csv").read_bytes()
    assert go(segmenter, paths, tmp_path / "out") == ["skipped"] * 3
    assert len(table(tmp_path / "out" / "summary.csv")) == 3


def test_other_runs_into_the_folder_keep_their_rows(
    segmenter: Segmenter, make_model: MakeModel, tmp_path: Path
) -> None:
    """Also of a model with other classes; and a run at the same time."""
    paths = [field(tmp_path / f"{i}.png", seed=i) for i in range(6)]
    go(Segmenter(make_model(channels=1, classes=3).path, provider="cpu"), paths[:1], tmp_path / "out")
    runs = [threading.Thread(target=go, args=(segmenter, part, tmp_path / "out")) for part in (paths[1:3], paths[3:])]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    rows = table(tmp_path / "out" / "summary.csv")
    assert [row["name"] for row in rows] == list("012345")
    assert [bool(row["class 2 area"]) for row in rows] == [True] + [False] * 5
    assert all(row["objects"] for row in rows)


def test_a_later_run_without_measures_keeps_them(segmenter: Segmenter, tmp_path: Path) -> None:
    path = field(tmp_path / "a.png")
    out = tmp_path / "out"
    go(segmenter, [path], out)
    before = json.loads((out / "a.json").read_text())["measured"]
    assert go(segmenter, [path], out, measure=False, overlay=True) == ["done"]
    record = json.loads((out / "a.json").read_text())
    assert record["measured"] == before
    assert record["outputs"]["objects_csv"] == "a_objects.csv"
    assert go(segmenter, [path], out) == ["skipped"]
    assert table(out / "summary.csv")[0]["objects"] == str(before["objects"])


def test_measures_of_another_image_do_not_stay(segmenter: Segmenter, tmp_path: Path) -> None:
    path = field(tmp_path / "a.png")
    out = tmp_path / "out"
    go(segmenter, [path], out)
    field(path, seed=9)
    assert go(segmenter, [path], out, measure=False, overwrite=True) == ["done"]
    assert "measured" not in json.loads((out / "a.json").read_text())
    assert not (out / "a_objects.csv").exists()


@pytest.mark.parametrize("content", ["mine\n", "name,area\na,3\n", "\xff", "", 'name,file,page\n"a'])
def test_a_summary_of_somebody_else_stays(segmenter: Segmenter, tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.csv").write_text(content, encoding="latin-1")
    how = BatchOptions(measure=True)
    with pytest.raises(SegError, match=r"summary\.csv exists and is not a summary of seg-run.* --overwrite"):
        check_summary(tmp_path, how)
    check_summary(tmp_path, BatchOptions())
    go(segmenter, [field(tmp_path / "a.png")], tmp_path, overwrite=True)
    assert [row["name"] for row in table(tmp_path / "summary.csv")] == ["a"]


def test_a_summary_is_not_mentioned_as_a_file_that_is_no_image(segmenter: Segmenter, tmp_path: Path) -> None:
    go(segmenter, [field(tmp_path / "a.png")], tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "summary.csv").write_text("mine")
    ignored: list[Path] = []
    tasks, failed = find_tasks([tmp_path], tmp_path, True, segmenter.contract, BatchOptions(measure=True), ignored)
    assert ([task.stem.name for task in tasks], failed, ignored) == (["a"], [], [tmp_path / "deep" / "summary.csv"])


def test_a_planted_summary_reads_nothing_outside(segmenter: Segmenter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    go(segmenter, [field(tmp_path / "a.png")], tmp_path / "secret")
    go(segmenter, [field(tmp_path / "b.png")], out)
    planted = ["../secret/a", str(tmp_path / "secret" / "a"), "none", ""]
    with (out / "summary.csv").open("a") as file:
        file.writelines(f"{name},x.png,1\n" for name in planted)
    (out / "c.json").write_text((out / "b.json").read_text().replace('"measured": {', '"measured": 3, "old": {'))
    with (out / "summary.csv").open("a") as file:
        file.write("c,c.png,1\n")
    go(segmenter, [tmp_path / "b.png"], out)
    assert [row["name"] for row in table(out / "summary.csv")] == ["b"]
