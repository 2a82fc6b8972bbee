"""A regression on its way through export: parity in values, no labels, and what there is for labels only is refused."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from seg_export.graph import stamped
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_export.proof import Parity, compare, generated_windows, logits_of
from seg_export.proof.parity import OF_LABELS
from seg_runtime import Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.engine.session import Session
from seg_runtime.support.errors import ImageError, ParityError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks.unet import UNet

from tests.support.commands import seg_export
from tests.support.contracts import changed, channel_files
from tests.support.damage import spoil_one_weight
from tests.support.images import noise_image
from tests.support.models import CPU


def test_parity_is_told_in_values_alone(regression):
    figures = regression.contract.parity
    assert figures["holds"]
    assert 0 < figures["relative_error"] < 1e-5
    assert not set(OF_LABELS) & set(figures)


def test_a_regressions_figures_by_hand(regression):
    truth = np.array([[[0, 1, 2, 10]], [[0, 0, 0, 5]]], np.float32)
    answer = truth.copy()
    answer[1, 0, 3] += 0.0005
    result = Parity()
    result.add(truth, answer, regression.contract)
    assert (result.pixels, result.labels, result.flipped) == (4, 0, 0)
    assert result.relative_error == pytest.approx(5e-5, rel=1e-3)
    assert result.failures() == []
    assert "flip" not in result.table("it")
    result.add(truth, truth + np.float32(0.0011), regression.contract)
    with pytest.raises(ParityError, match="of the logits' range"):
        result.require("it")


def test_a_spoiled_graph_is_seen(regression):
    graph = onnx.load(regression.path)
    del graph.metadata_props[:]
    spoil_one_weight(graph)
    spoiled = Session(stamped(graph, regression.contract), CPU)
    windows = list(generated_windows(regression.contract, 2))
    torch = [regression.torch_run(window)[0] for window in windows]
    with pytest.raises(ParityError, match="of the logits' range"):
        compare(torch, logits_of(spoiled, windows), regression.contract).require("it")


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--host-ready"], "--host-ready"), (["--precision", "int8", "--calibration", "images"], "--precision")],
)
def test_what_labels_judge_is_refused_in_one_line(regression, tmp_path, options, named):
    (tmp_path / "images").mkdir()
    words = [str(tmp_path / o) if o == "images" else o for o in options]
    done = seg_export(regression.checkpoint, tmp_path / "x.onnx", *words)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {named} needs a model with classes. Leave out {named}")
    assert not (tmp_path / "x.onnx").exists()


def test_codes_have_no_class_to_name(regression, tmp_path):
    (tmp_path / "codes.json").write_text(json.dumps({"liver": {"type": ["1", "SCT", "Liver"]}}))
    done = seg_export(regression.checkpoint, tmp_path / "x.onnx", "--codes", tmp_path / "codes.json")
    assert done.exit_code == 1
    assert "error: --codes needs a model with classes. Leave out --codes" in done.stderr


def test_a_rewritten_graph_answers_alike(regression, tmp_path):
    made = export(load(regression.checkpoint), ExportOptions(optimize=True))
    assert made.contract.provenance["rewritten"]
    assert made.contract.parity["relative_error"] < 1e-5
    write(made, tmp_path / "fast.onnx")
    image = noise_image(90, 130, 1)
    expected = answer_of(regression.contract).segment(image, regression.torch_run)
    scales = np.array([o.scale for o in regression.contract.answer.outputs])[:, None, None]
    assert (np.abs(Segmenter(tmp_path / "fast.onnx", provider="cpu")(image).values - expected) < 1e-4 * scales).all()


def test_cases_of_coarse_and_fine_files_prove_parity_and_become_golden_samples(regression, tmp_path):
    torch.manual_seed(0)
    net = UNet(2, 2, 4, depth=2).eval()
    files = {"channels": 2, "channel_files": channel_files("_band*3", "_pan")}
    contract = changed(regression.contract, **files, parity={}, provenance={})
    checkpoint = replace(load(regression.checkpoint), network=net.described, state=net.state_dict(), contract=contract)
    (tmp_path / "images").mkdir()
    for name, shape in (("band", (25, 30)), ("pan", (75, 90))):
        Image.fromarray(noise_image(*shape, 1)[..., 0]).save(tmp_path / "images" / f"a_{name}.tif")
    made = export(checkpoint, ExportOptions(images=tmp_path, golden=tmp_path))
    assert made.contract.parity["images"] == "real"
    assert [file.factor for file in made.contract.input.channel_files] == [3, 1]
    Image.fromarray(noise_image(24, 30, 1)[..., 0]).save(tmp_path / "images" / "a_band.tif")
    with pytest.raises(ImageError, match="1/3 of that size"):
        export(checkpoint, ExportOptions(images=tmp_path))
