"""A regression on the device: values in the units of the training targets, written as they are."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from seg_runtime import SegError, Segmenter, SelfTestError
from seg_runtime.answers import Labels, Values, answer_of
from seg_runtime.answers.valuemap import grey, value_map
from seg_runtime.engine import RunOptions
from seg_runtime.engine.session import Session
from seg_runtime.model.answer import OutputInfo
from seg_runtime.model.contract import Contract
from seg_runtime.model.golden import Golden
from seg_runtime.pipeline import Float

from tests.support.commands import ok, seg_edge, seg_run
from tests.support.contracts import changed, contract
from tests.support.damage import resealed, spoil_one_weight
from tests.support.images import noise_image, pages
from tests.support.models import Made

TWO = (OutputInfo("a", 10.0, 2.0, 0.0, 20.0), OutputInfo("b", -1.0, 0.5, -2.0, 0.0, "mm"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "field.png"
    path.parent.mkdir()
    Image.fromarray(noise_image(150, 90, 1)[..., 0]).save(path)
    return path


def test_units_by_hand_and_back() -> None:
    network = np.array([[[0.0, 1.0]], [[-2.0, 4.0]]], np.float32)  # (2, 1, 2)
    answer = Values(contract(100, 60, stride=4, outputs=TWO))
    values = answer.window(network)
    assert values.tolist() == [[[10.0, 12.0]], [[-2.0, 1.0]]]
    assert values.dtype == np.float32
    back = answer.to_network(np.moveaxis(values, 0, -1))
    np.testing.assert_array_equal(np.moveaxis(back, -1, 0), network)


def in_float64(made: Made, contract: Contract, image: np.ndarray) -> Float:  # type: ignore[type-arg]
    net = made.net.double()
    try:
        with torch.inference_mode():
            return answer_of(contract).segment(image, lambda w: net(torch.from_numpy(w).double()).numpy())
    finally:
        made.net.float()


def test_tiles_answer_as_one_pass_does(regression: Made) -> None:
    image = noise_image(150, 200, 1, seed=2)
    whole = changed(regression.contract, input_shape=(240, 240), output_shape=(200, 200))
    once, tiled = (in_float64(regression, c, image) for c in (whole, regression.contract))
    assert once.shape == (2, 150, 200)
    np.testing.assert_allclose(tiled, once, rtol=1e-6, atol=1e-9)
    wrong = changed(regression.contract, stride=9)  # steps of 54 px meet the poolings in another phase
    odd = np.abs(in_float64(regression, wrong, image) - once).max(axis=(1, 2))
    assert (odd > 0.01 * np.array([o.scale for o in regression.contract.answer.outputs])).all()


def test_values_are_those_of_torch_in_the_units_of_the_targets(regression: Made) -> None:
    image = noise_image(150, 90, 1)
    expected = answer_of(regression.contract).segment(image, regression.torch_run)
    with Segmenter(regression.path, provider="cpu") as segmenter:
        found = segmenter(image)
    assert (found.values.shape, found.values.dtype) == ((2, 150, 90), np.float32)
    scales = np.array([o.scale for o in regression.contract.answer.outputs])[:, None, None]
    assert (np.abs(found.values - expected) < 1e-4 * scales).all()
    assert 200 < found.values[0].mean() < 400
    assert -3e-3 < found.values[1].mean() < -1e-3


def test_labels_of_a_regression_and_values_of_a_segmentation_are_refused(regression: Made, model: Made) -> None:
    image = noise_image(80, 80, 1)
    found = Segmenter(regression.path, provider="cpu")(image)
    with pytest.raises(SegError, match=r"predicts values, not labels. Use \.values"):
        _ = found.labels
    with pytest.raises(SegError, match=r"predicts values and has no probabilities"):
        _ = found.probabilities
    with pytest.raises(SegError, match="predicts values and has no probabilities"):
        Segmenter(regression.path, provider="cpu")(image, probabilities=True)
    labelled = Segmenter(model.path, provider="cpu")(image.repeat(3, -1))
    with pytest.raises(SegError, match=r"predicts labels, not values. Use \.labels"):
        _ = labelled.values
    assert (Labels.data, Values.data) == ("labels", "values")


def test_seg_run_writes_floats_a_record_and_a_picture(regression: Made, picture: Path, tmp_path: Path) -> None:
    words = ["--model", regression.path, "--provider", "cpu", "--out", tmp_path / "out", "--overlay", picture.parent]
    ok(seg_run(*words))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "field.json",
        "field_overlay.png",
        "field_values.tif",
    ]
    found = Segmenter(regression.path, provider="cpu")(picture).values
    written = pages(tmp_path / "out" / "field_values.tif")
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, found)
    record = json.loads((tmp_path / "out" / "field.json").read_text())
    assert "classes" not in record
    assert record["outputs"] == {"values": "field_values.tif", "overlay": "field_overlay.png"}
    assert [(v["name"], v["unit"]) for v in record["values"]] == [("nuclei", "counts"), ("height", "")]
    for told, plane in zip(record["values"], found, strict=True):
        assert told["min"] == plane.min()
        assert told["max"] == plane.max()
        assert told["mean"] == pytest.approx(plane.astype(np.float64).mean(), rel=1e-9)
    assert "1 already done" in seg_run(*words).output


def test_a_stack_is_answered_page_by_page(regression: Made, tmp_path: Path) -> None:
    planes = [noise_image(70, 70, 1, seed=n)[..., 0] for n in range(2)]
    first, second = map(Image.fromarray, planes)
    first.save(tmp_path / "stack.tif", save_all=True, append_images=[second])
    ok(seg_run("--model", regression.path, "--out", tmp_path / "out", "--overlay", tmp_path / "stack.tif"))
    segmenter = Segmenter(regression.path, provider="cpu")
    expected = np.concatenate([segmenter(plane).values for plane in planes])
    np.testing.assert_array_equal(pages(tmp_path / "out" / "stack_values.tif"), expected)
    record = json.loads((tmp_path / "out" / "stack.json").read_text())
    assert [len(page["values"]) for page in record["pages"]] == [2, 2]


def test_several_windows_in_a_call_and_files_of_other_windows_answer_alike(regression: Made, tmp_path: Path) -> None:
    from seg_export.options import ExportOptions
    from seg_export.pipeline import export, write
    from seg_toolkit.checkpoints import load

    checkpoint = load(regression.checkpoint)
    write(export(checkpoint, ExportOptions(batch=3)), tmp_path / "batch.onnx")
    write(export(checkpoint, ExportOptions(input_size=140)), tmp_path / "large.onnx")
    image = noise_image(150, 200, 1)
    expected = Segmenter(regression.path, provider="cpu")(image).values
    for files in ([tmp_path / "batch.onnx"], [regression.path, tmp_path / "large.onnx"]):
        found = Segmenter(files, provider="cpu")(image).values
        scales = np.array([o.scale for o in regression.contract.answer.outputs])[:, None, None]
        assert (np.abs(found - expected) < 1e-4 * scales).all()


def test_what_a_regression_cannot_answer_is_told_in_one_line(regression: Made, picture: Path, tmp_path: Path) -> None:
    words = ["--model", regression.path, "--out", tmp_path / "out"]
    told = seg_run(*words, "--probabilities", "npy", picture)
    assert told.exit_code == 1
    assert "error: --probabilities needs a segmentation model" in told.stderr
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / "v.nii.gz")
    told = seg_run(*words, tmp_path / "v.nii.gz")
    assert told.exit_code == 1
    assert "a NIfTI volume, a format that cannot hold values" in told.stderr
    bad = np.zeros((80, 80), np.float32)
    bad[3, 4] = np.nan
    Image.fromarray(bad).save(tmp_path / "nan.tif")
    told = seg_run(*words, tmp_path / "nan.tif")
    assert told.exit_code == 1
    assert "contains NaN" in told.stderr
    Image.fromarray(noise_image(80, 80)).save(tmp_path / "colour.png")
    told = seg_run(*words, tmp_path / "colour.png")
    assert told.exit_code == 1
    assert "1 grey channel, like the training images" in told.stderr
    assert not list(tmp_path.glob("out/*"))


def test_the_self_test_knows_no_labels_and_sees_a_spoiled_weight(regression: Made) -> None:
    done = ok(seg_edge("self-test", "--model", regression.path, "--provider", "cpu"))
    assert "flip" not in done.stderr
    report = json.loads(done.stdout)["self_test"]
    assert report["passed"]
    assert (report["samples"], report["pixels"]) == (2, 0)
    assert 0 < report["max_error_of_range"] < 1e-5
    with pytest.raises(SelfTestError, match="of the logit range"):
        Segmenter(resealed(regression.path, spoil_one_weight), provider="cpu", self_test=True)


def test_golden_samples_of_labels_are_wanted_where_there_are_classes(regression: Made, model: Made) -> None:
    golden = Session(regression.path, RunOptions(provider="cpu", self_test=True)).golden
    assert golden is not None
    assert all(s.labels is None and s.close is None for s in golden.samples)
    again = Golden.from_text(golden.to_text().encode(), regression.contract)
    np.testing.assert_array_equal(again.samples[0].logits, golden.samples[0].logits)
    as_classes = changed(model.contract, input_shape=(100, 100), output_shape=(60, 60), channels=1, stride=4)
    with pytest.raises(SegError, match="golden samples cannot be read"):
        Golden.from_text(golden.to_text().encode(), as_classes)


def test_grey_by_hand_and_a_tile_for_each_output() -> None:
    plane = np.array([[-5.0, 0.0, 10.0, 20.0, 99.0, np.nan]], np.float32)
    assert grey(plane, 0.0, 20.0).tolist() == [[0, 0, 127, 255, 255, 255]]
    values = np.stack([np.full((40, 60), 10, np.float32), np.full((40, 60), -2, np.float32)])
    sheet = np.asarray(value_map(values, TWO))
    assert (sheet[:40, :60] == 127).all()
    assert (sheet[:40, 60:] == 0).sum() == 40 * 60 * 3  # the second beside it
    assert sheet.shape[0] > 60  # its scale below
    assert np.asarray(value_map(values[:, None].repeat(3, 1), TWO)).shape == sheet.shape  # of a volume one slice


def test_a_record_has_no_number_where_there_is_none() -> None:
    values = np.zeros((2, 3, 3), np.float32)
    values[1, 0, 0] = np.inf
    told = Values(contract(100, 60, stride=4, outputs=TWO)).record(values)["values"]
    assert told[0] == {"index": 0, "name": "a", "unit": "", "min": 0.0, "max": 0.0, "mean": 0.0}
    assert (told[1]["min"], told[1]["max"], told[1]["mean"]) == (0.0, None, None)
    json.dumps(told, allow_nan=False)
