"""`seg-run --measure`: the measures are those of the objects in the files beside them."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_export.options import ExportOptions
from seg_runtime.support import imports
from skimage.measure import regionprops_table

from tests.support.bright import exported, two_tone
from tests.support.commands import error_of, in_a_process, ok, seg_run_on_cpu
from tests.support.images import put
from tests.support.models import Made


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return put(tmp_path / "field.png", two_tone(4))


def columns(path: Path) -> dict[str, list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def test_the_measures_are_those_of_the_ids(bright_model: Path, picture: Path, tmp_path: Path) -> None:
    words = ("--objects", "--smallest-object", "150", "--probabilities", "npy", "--measure")
    ok(seg_run_on_cpu("--model", bright_model, picture, "--out", tmp_path, *words))
    found = columns(tmp_path / "field_objects.csv")
    ids, image = tifffile.imread(tmp_path / "field_objects.tif"), np.asarray(Image.open(picture))[..., None]
    assert set(np.unique(image[ids > 0] > 127)) == {True}
    names = ("label", "area", "perimeter", "solidity", "intensity_mean", "intensity_std")
    for name, values in regionprops_table(ids, image, properties=names).items():
        np.testing.assert_allclose(np.array(found[name], float), values, rtol=1e-6, err_msg=name)
    assert len(found["label"]) > 3
    assert min(map(int, found["area"])) >= 150
    sure = np.load(tmp_path / "field_probabilities.npy")[1]
    means = [sure[ids == number].mean() for number in range(1, ids.max() + 1)]
    np.testing.assert_allclose(np.array(found["mean_probability"], float), means, rtol=1e-6)
    assert columns(tmp_path / "summary.csv")["objects"] == [str(ids.max())]


def test_processes_of_their_own_and_threads_change_nothing(bright_model: Path, tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "in" / f"{number}.png", two_tone(number, 60, 70))
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "0.png").read_bytes()[:99])
    found = []
    for way in (["--jobs", 1], ["--jobs", 4, "--isolate"]):
        out = tmp_path / str(len(way))
        words = ("--model", bright_model, "--provider", "cpu", "--measure", "--no-overlay", "--out", out)
        assert in_a_process("seg-run", *words, *way, tmp_path / "in").returncode == 1
        found.append({path.name: path.read_bytes() for path in out.glob("*.csv")})
    assert found[0] == found[1]
    assert sorted(found[0]) == ["0_objects.csv", "1_objects.csv", "2_objects.csv", "summary.csv"]


@pytest.mark.parametrize("scores", [True, False])
def test_a_host_ready_model_may_lack_probabilities(picture: Path, tmp_path: Path, scores: bool) -> None:
    path = exported(tmp_path, ExportOptions(host_ready=True, host_probabilities=scores))
    ok(seg_run_on_cpu("--model", path, picture, "--out", tmp_path, "--measure"))
    assert ("mean_probability" in columns(tmp_path / "field_objects.csv")) == scores


def test_measures_of_a_regression_are_refused(regression: Made, tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", two_tone(0))
    text = error_of(seg_run_on_cpu("--model", regression.path, path, "--out", tmp_path / "out", "--measure"))
    assert "--measure needs a model that predicts classes or objects. Leave it out: this model predicts values" in text
    assert not (tmp_path / "out").exists()


def test_a_foreign_summary_is_found_before_the_work(bright_model: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_text("mine")
    text = error_of(seg_run_on_cpu("--model", bright_model, picture, "--out", tmp_path, "--measure"))
    assert "summary.csv exists and is not a summary of seg-run" in text
    assert not (tmp_path / "field.json").exists()


def test_files_for_other_programs(bright_model: Path, picture: Path, tmp_path: Path) -> None:
    names = ("labels", "geojson", "roi", "coco", "ome-tiff")
    words = ["--model", bright_model, picture, "--out", tmp_path, "--no-overlay", *(f"--save={name}" for name in names)]
    ok(seg_run_on_cpu(*words, "--smallest-object", "150"))
    assert {path.name for path in tmp_path.iterdir()} == {
        "field.png", "field.json", "field_mask.png", "field_labels.tif", "field_objects.geojson", "field_rois.zip",
        "field_coco.json", "field_labels.ome.tif",
    }  # fmt: skip
    ids = tifffile.imread(tmp_path / "field_labels.tif")
    assert ids.max() == json.loads((tmp_path / "field.json").read_text())["objects"] > 1
    assert np.bincount(ids.ravel())[1:].min() >= 150
    features = json.loads((tmp_path / "field_objects.geojson").read_text())["features"]
    assert [f["properties"]["measurements"]["area"] for f in features] == np.bincount(ids.ravel())[1:].tolist()
    assert all(f["properties"]["measurements"]["mean_probability"] > 0.5 for f in features)
    assert "1 already done" in ok(seg_run_on_cpu(*words, "--smallest-object", "150")).output
    again = ok(seg_run_on_cpu(*words[:2], tmp_path, *words[3:])).output
    assert "1 segmented" in again  # another smallest object; and none of the results is an image
    assert tifffile.imread(tmp_path / "field_labels.tif").max() > ids.max()


def test_unknown_files_are_refused_before_the_work(bright_model: Path, picture: Path, tmp_path: Path) -> None:
    done = seg_run_on_cpu("--model", bright_model, picture, "--out", tmp_path / "out", "--save", "geojsn")
    assert (done.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert "unknown output 'geojsn'; expected labels, geojson, roi, coco, ome-tiff" in error_of(done)
    assert "Did you mean geojson?" in error_of(done)


def test_a_file_is_not_the_record_of_another_image(bright_model: Path, tmp_path: Path) -> None:
    """COCO files of a.png and records of a_coco.png would have the same name."""
    paths = [put(tmp_path / f"{name}.png", two_tone(1)) for name in ("a", "a_coco")]
    done = seg_run_on_cpu("--model", bright_model, *paths, "--out", tmp_path / "out", "--save", "coco", "--overwrite")
    assert "a.png would overwrite" in error_of(done)
    assert "a_coco.json, the record of" in error_of(done)
    assert "complete" in json.loads((tmp_path / "out" / "a_coco.json").read_text())
    assert not (tmp_path / "out" / "a.json").exists()


def test_without_the_package_one_error_names_the_extra(
    bright_model: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "roifile", None)
    monkeypatch.setattr(imports, "find_spec", lambda name: None if name == "roifile" else find_spec(name))
    text = error_of(seg_run_on_cpu("--model", bright_model, picture, "--out", tmp_path, "--save", "roi"))
    assert "roifile is not installed. Install the extra 'objects'" in text
