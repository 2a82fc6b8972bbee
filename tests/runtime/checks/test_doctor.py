"""The doctor on this machine, and on machines that lack something."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from seg_runtime.checks.doctor import doctor_table, examine
from seg_runtime.checks.provider_check import SUM, ProviderCheck, _tiny_model
from seg_runtime.engine import PROVIDERS, available_threads, cpu_features
from seg_runtime.engine.hardware import _numpy_features

from tests.support.commands import errors, in_a_process, ok, seg_edge
from tests.support.wheels import fake_wheel, no_cuda


def test_the_tiny_model_is_a_model() -> None:
    proto = onnx.ModelProto.FromString(_tiny_model())
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(_tiny_model(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.ones((1, 1, 3, 3), np.float32)})[0].tolist() == [[[[SUM]]]]


def test_a_provider_that_works_and_one_that_is_unknown() -> None:
    assert ProviderCheck.of(PROVIDERS.get("cpu")).loads
    with pytest.warns(UserWarning, match="NoSuchExecutionProvider"):
        assert not ProviderCheck.of_other(onnxruntime, "NoSuchExecutionProvider").loads


def test_on_this_machine() -> None:
    result = ok(seg_edge("doctor", "--provider", "cpu"))
    report = json.loads(result.stdout)
    assert report["works"]
    assert report["wheels"] == {"onnxruntime": onnxruntime.__version__} or "onnxruntime-gpu" in report["wheels"]
    assert report["built_in"] == onnxruntime.get_available_providers()
    assert {"cpu", "cuda"} <= {p["name"] for p in report["providers"]}
    assert report["threads"]["available"] == available_threads()
    assert "--provider cpu works" in result.stderr


@no_cuda
def test_cuda_asked_where_it_cannot_be_had_exits_3_with_the_fix() -> None:
    result = seg_edge("doctor", "--provider", "cuda")
    assert result.exit_code == 3
    assert "pip install 'seg-edge[gpu]'" in result.stderr
    assert [f["fix"] for f in json.loads(result.stdout)["findings"]]


def test_two_wheels_are_found(tmp_path: Path) -> None:
    fake_wheel(tmp_path)
    done = in_a_process("seg-edge", "doctor", "--provider", "cpu", path=tmp_path)
    report = json.loads(done.stdout)
    assert set(report["wheels"]) == {"onnxruntime", "onnxruntime-gpu"}
    assert any("overwrite each other" in f["problem"] and "pip uninstall" in f["fix"] for f in report["findings"])


@pytest.mark.parametrize(
    ("content", "word"),
    [("raise ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1"), ("", "incomplete")],
)
def test_an_onnx_runtime_that_cannot_be_imported(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(content)
    done = in_a_process("seg-edge", "doctor", path=tmp_path)
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert word in report["findings"][0]["problem"]
    assert "pip " in report["findings"][0]["fix"]
    assert word in done.stderr


def test_no_model_is_needed_and_none_is_taken() -> None:
    assert seg_edge("doctor", "a.png").exit_code == 2
    assert seg_edge("doctor", "--model", "m.onnx").exit_code == 2


def test_features_agree_with_numpy() -> None:
    told, numpys = cpu_features(), _numpy_features()
    if None in told.values() or not numpys:
        pytest.skip("this system does not tell what its processor can do")
    assert told["AVX2"] == numpys.get("AVX2", False)
    assert told["AVX512F"] == numpys.get("AVX512F", told["AVX512F"])


def test_the_table_tells_every_finding() -> None:
    report = examine("cpu")
    report["findings"] = [{"problem": "a problem", "fix": "the fix"}]
    assert "a problem: the fix" in doctor_table(report)
    assert errors(doctor_table(report)) == []


def test_a_provider_that_was_asked_for_is_tried() -> None:
    if "OpenVINOExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's wheel has it")
    result = seg_edge("doctor", "--provider", "openvino")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert "openvino" in {p["name"] for p in report["providers"]}
    assert any("seg-edge[openvino]" in finding["fix"] for finding in report["findings"])
    names = {p["name"] for p in json.loads(seg_edge("doctor", "--provider", "cpu").stdout)["providers"]}
    assert not {"openvino", "tensorrt"} & names  # nobody asked, and no wheel has them
