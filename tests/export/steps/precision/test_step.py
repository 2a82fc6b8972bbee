"""The way from a checkpoint to a file in int8 or fp16, and everything that must stop it."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image
from seg_export.options import ExportOptions, Watching
from seg_export.pipeline import export
from seg_export.proof.golden import COUNT
from seg_runtime import Segmenter, SelfTestError
from seg_runtime.engine.session import Session
from seg_runtime.model.digest import sealed
from seg_runtime.support import OptionsError, ParityError, SegError
from seg_toolkit.checkpoints import save

from tests.support.bright import bright, folder, two_tone
from tests.support.commands import ok, seg_export


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def files(data):
    return {
        name: export(bright(), ExportOptions(precision=name, calibration=data)).content for name in ("int8", "fp16")
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.pt"
    save(bright(), path)
    return path


@pytest.mark.parametrize("name", ["int8", "fp16"])
def test_file_record_and_self_test_know_the_precision(files, name):
    image = two_tone(9)
    with Segmenter(files[name], provider="cpu", self_test=True) as segmenter:
        assert segmenter.contract.file.precision == name
        figures = segmenter.contract.parity[name]
        result = segmenter(image)
        report = segmenter.test_report
    assert (figures["decided_by"], figures["images"], figures["drop"]) == ("masks", 3, 0)
    assert np.array_equal(result.labels, image > 127)
    assert result.record["model"]["precision"] == report["model"]["precision"] == name
    test = report["self_test"]
    assert test["passed"]
    assert 1e-4 < test["limit"] < 0.1
    assert test["rms_error_of_range"] <= test["rms_limit"] < test["limit"]


def spoiled(content, change):
    """The file with every weight changed, and a right digest."""
    proto = onnx.ModelProto.FromString(content)
    del proto.metadata_props[-1]
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4 and values.dtype in (np.int8, np.float16):
            tensor.CopyFrom(numpy_helper.from_array(change(values), tensor.name))
    return sealed(proto.SerializeToString())


@pytest.mark.parametrize("name", ["int8", "fp16"])
def test_spoiled_weights_fail_the_self_test(files, name):
    assert Segmenter(spoiled(files[name], lambda v: v), provider="cpu", self_test=True)
    with pytest.raises(SelfTestError, match="does not reproduce the golden samples"):
        Segmenter(spoiled(files[name], lambda v: (v * 0.95).astype(v.dtype)), provider="cpu", self_test=True)


def test_kernels_that_saturate_are_refused_at_export(monkeypatch, data):
    """As a processor without VNNI would: what goes beyond is cut off."""
    run = Session.run

    def cut_off(self, window):
        logits = run(self, window)
        return np.clip(logits, -2, 2) if self.contract.file.precision == "int8" else logits

    monkeypatch.setattr(Session, "run", cut_off)
    with pytest.raises(ParityError, match=r"int8 kernels of this processor have an error of .*--reduce-range"):
        export(bright(), ExportOptions(precision="int8", calibration=data))


@pytest.mark.parametrize("name", ["int8", "fp16"])
def test_host_ready(data, files, name):
    exported = export(bright(), ExportOptions(precision=name, calibration=data, host_ready=True))
    assert exported.contract.parity["host_ready"]["differing"] == 0
    assert (exported.contract.file.precision, exported.contract.file.kind) == (name, "host-ready")
    image = two_tone(5)
    with (
        Segmenter(exported.content, provider="cpu", self_test=True) as host,
        Segmenter(files[name], provider="cpu") as window,
    ):
        assert np.array_equal(host(image).labels, window(image).labels)


def test_the_same_checkpoint_gives_the_same_file(data, files):
    assert export(bright(), ExportOptions(precision="int8", calibration=data)).content == files["int8"]


def test_activations_beyond_fp16_stay_in_float(data):
    exported = export(bright(gain=1e5), ExportOptions(precision="fp16", calibration=data))
    assert len(exported.contract.parity["fp16"]["in_float"]) > 4
    assert exported.contract.parity["fp16"]["drop"] == 0


def test_a_form_that_answers_blank_is_refused_and_the_old_file_stays(monkeypatch, saved, data, tmp_path):
    def blank(graph, *rest):
        spoilt = onnx.ModelProto.FromString(graph.SerializeToString())
        bias = next(t for t in spoilt.graph.initializer if t.name == "head.bias")
        bias.CopyFrom(numpy_helper.from_array(np.array([99, -99], np.float32), bias.name))
        return spoilt

    monkeypatch.setattr("seg_export.steps.precision.int8.quantised", blank)
    target, report = tmp_path / "model.onnx", tmp_path / "report.json"
    target.write_bytes(b"an older file")
    result = seg_export(saved, target, "--precision", "int8", "--calibration", data, "--report", report)
    assert result.exit_code == 1
    assert "int8 compared with fp32" in result.stdout
    assert "3 of 3 images are blank" in result.stderr
    assert target.read_bytes() == b"an older file"
    assert json.loads(report.read_text())["parity"]["int8"]["blank"] == 3


def test_the_command_line_tells_the_cost(saved, data, tmp_path):
    target = tmp_path / "model.onnx"
    real = folder(tmp_path / "real", count=2, masks=False)
    result = ok(
        seg_export(saved, target, "--precision", "int8", "--calibration", data, "--images", real, "--golden", real)
    )
    for words in (
        "drop against fp32      0.000",
        "goal                   0.3 reached (limit 1.0), by fp32",
        "layers in float",
    ):
        assert words in result.stdout
    with Segmenter(target, provider="cpu", self_test=True) as segmenter:
        assert segmenter.test_report["self_test"]["samples"] == 2 * COUNT


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--precision", "int8"], "--precision needs real images. Add --calibration DIR"),
        (["--precision", "fp16"], "--precision needs real images. Add --calibration DIR"),
        (["--precision", "int8", "--calibration", "EMPTY"], "has no images"),
        (["--precision", "int8", "--calibration", "nowhere"], "--calibration nowhere is not a folder"),
        (["--precision", "int8", "--calibration", "FLOATS"], "grey values"),
    ],
)
def test_wrong_options_are_one_line(saved, data, tmp_path, arguments, says):
    places = {"DATA": data, "EMPTY": tmp_path / "empty", "FLOATS": tmp_path / "floats"}
    for place in ("empty", "floats"):
        (tmp_path / place).mkdir()
    Image.fromarray(two_tone(0).astype(np.float32)).save(tmp_path / "floats" / "a.tif")
    result = seg_export(saved, tmp_path / "m.onnx", *[places.get(a, a) for a in arguments])
    assert result.exit_code == (OptionsError.exit_code if "needs" in says else 1)
    assert says in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "m.onnx").exists()


def test_one_image_is_enough(tmp_path):
    exported = export(bright(), ExportOptions(precision="int8", calibration=folder(tmp_path, count=1)))
    assert exported.contract.parity["int8"]["calibration"]["images"] == 1


def test_images_of_one_class_prove_nothing(tmp_path):
    dark = folder(tmp_path, masks=False)
    for path in (dark / "images").iterdir():
        Image.fromarray((two_tone(1) // 4).astype(np.uint8)).save(path)
    with pytest.raises(ParityError, match="fp32 finds only one class on these images"):
        export(bright(), ExportOptions(precision="int8", calibration=dark))


def test_a_constant_network_is_refused(data):
    source = bright()
    source.state = {k: v * 0 if k == "head.weight" else v for k, v in source.state.items()}
    with pytest.raises(ParityError, match="fp32 finds only one class"):
        export(source, ExportOptions(precision="int8", calibration=data))


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (["--calibration", "nowhere"], "fp32 needs no calibration, so --calibration is ignored"),
        (["--no-reduce-range"], "only int8 has quantized weights, so --reduce-range is ignored"),
    ],
)
def test_options_that_do_nothing_for_fp32_are_noted(saved, tmp_path, arguments, note):
    result = ok(seg_export(saved, tmp_path / "m.onnx", *arguments))
    assert f"note: {note}\n" in result.stderr


def test_int8_is_optimized_whether_asked_to_or_not(data, files):
    notes = []
    options = ExportOptions(precision="int8", calibration=data, optimize=True, tune=True)
    assert export(bright(), options, Watching(note=notes.append)).content == files["int8"]
    assert notes == [f"int8 models are always optimized, so {option} is ignored" for option in ("--optimize", "--tune")]


def test_unknown_precision(data):
    with pytest.raises(SegError, match="--precision needs fp32 or int8 or fp16"):
        export(bright(), ExportOptions(precision="fp8", calibration=data))
