"""Objects of a plain class model: `seg-run --objects`, and the files that hold ids."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime import SegError, Segmenter
from seg_runtime.answers.overlay import overlay
from seg_runtime.answers.separate import components
from seg_runtime.formats import Place
from seg_runtime.formats.pictures import OBJECTS

from tests.support.commands import error_of, ok, seg_run_on_cpu
from tests.support.images import noise_image
from tests.support.models import Made


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "field.png"
    Image.fromarray(noise_image(150, 90, 1)[..., 0]).save(path)
    return path


def test_components_of_classes_are_written(model: Made, picture: Path, tmp_path: Path) -> None:
    ok(seg_run_on_cpu("--model", model.path, picture, "--out", tmp_path, "--objects", "--smallest-object", "2"))
    mask = np.asarray(Image.open(tmp_path / "field_mask.png"))
    ids = tifffile.imread(tmp_path / "field_objects.tif")
    np.testing.assert_array_equal(ids, components(mask, 2))
    assert json.loads((tmp_path / "field.json").read_text())["objects"] == ids.max()
    assert 0 < ids.max() < components(mask).max()
    with Segmenter(model.path, provider="cpu") as segmenter:
        np.testing.assert_array_equal(segmenter(picture).objects, components(mask))


def test_the_overlay_outlines_the_objects_that_are_written(model: Made, picture: Path, tmp_path: Path) -> None:
    words = ("--model", model.path, picture)
    ok(seg_run_on_cpu(*words, "--out", tmp_path / "classes"))
    ok(seg_run_on_cpu(*words, "--out", tmp_path / "objects", "--objects", "--smallest-object", "2"))
    listed = json.loads((tmp_path / "objects" / "field.json").read_text())["outputs"]
    assert listed["overlay_objects_2"] == "field_overlay.png"
    with Segmenter(model.path, provider="cpu") as segmenter:
        result = segmenter(picture)
    result.smallest_object = 2
    ids = result.objects
    classes, intensity = model.contract.classes, model.contract.input.intensity
    labels = np.where(ids > 0, result.labels, 0).astype(np.uint8)
    counts = {index: len(np.unique(ids[labels == index])) for index in range(1, len(classes))}
    wanted = overlay(result.image, labels, classes, intensity, ids, counts)
    found = Image.open(tmp_path / "objects" / "field_overlay.png")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
    plain = np.asarray(Image.open(tmp_path / "classes" / "field_overlay.png"))
    assert plain.shape != np.asarray(found).shape or (plain != np.asarray(found)).any()


def test_another_smallest_object_is_another_result(model: Made, picture: Path, tmp_path: Path) -> None:
    words = ("--model", model.path, picture, "--out", tmp_path, "--objects")
    ok(seg_run_on_cpu(*words))
    every = tifffile.imread(tmp_path / "field_objects.tif")
    assert "1 already done" in ok(seg_run_on_cpu(*words)).output
    ok(seg_run_on_cpu(*words, "--smallest-object", "3"))
    assert tifffile.imread(tmp_path / "field_objects.tif").max() < every.max()


def test_objects_of_a_regression_are_refused(regression: Made, picture: Path, tmp_path: Path) -> None:
    assert "--objects" in error_of(seg_run_on_cpu("--model", regression.path, picture, "--out", tmp_path, "--objects"))
    with Segmenter(regression.path, provider="cpu") as segmenter, pytest.raises(SegError, match="predicts values"):
        segmenter(picture).objects  # noqa: B018


@pytest.mark.parametrize(("most", "dtype"), [(0, np.uint16), (65535, np.uint16), (65536, np.uint32)])
def test_ids_never_wrap(most: int, dtype: type) -> None:
    ids = np.array([[0, 1], [2, most]], np.int32)
    pages: list[Any] = [SimpleNamespace(objects=part, place=Place()) for part in (ids, ids.T)]
    made = OBJECTS.prepare(pages, None)  # type: ignore[arg-type]
    file = io.BytesIO()
    made[1](file)
    file.seek(0)
    with tifffile.TiffFile(file) as found:
        stored = [page.asarray() for page in found.pages]
    assert stored[0].dtype == dtype
    np.testing.assert_array_equal(stored[0], ids)
    np.testing.assert_array_equal(stored[1], ids.T)


def test_a_smallest_object_without_objects_is_a_note(model: Made, picture: Path, tmp_path: Path) -> None:
    done = ok(seg_run_on_cpu("--model", model.path, picture, "--out", tmp_path / "out", "--smallest-object", "2"))
    assert "--smallest-object" in done.output
    assert not list((tmp_path / "out").glob("*_objects*"))


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    model: Made, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "os.access", lambda path, mode: Path(path) != tmp_path
    )  # as on a disk that is read-only, for root too
    error = error_of(seg_run_on_cpu("--model", model.path, picture, "--out", tmp_path / "new" / "out"))
    assert "is not a writable folder" in error
