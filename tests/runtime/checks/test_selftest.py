"""The self-test passes where the device computes what torch did, and is seen to fail where it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from seg_export.graph import stamped
from seg_runtime import Intensity, ModelError, Segmenter, SelfTestError
from seg_runtime.checks.selftest import SelfTest
from seg_runtime.model import GOLDEN_KEY
from seg_runtime.model.golden import Golden, Pixels, Sample

from tests.support.commands import ok, seg_edge
from tests.support.contracts import changed, contract
from tests.support.damage import resealed, spoil_one_weight
from tests.support.models import HOST_READY, Made, MakeModel


def golden_text(path: Path) -> str:
    return next(p.value for p in onnx.load(path).metadata_props if p.key == GOLDEN_KEY)


@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
@pytest.mark.parametrize("decision", ["argmax", "threshold"])
def test_a_good_model_passes(make_model: MakeModel, geometry: str, decision: str) -> None:
    made = make_model(geometry=geometry, decision=decision, classes=3)
    with Segmenter(made.path, provider="cpu", self_test=True) as segmenter:
        report = segmenter.test_report
    assert report is not None
    figures = report["self_test"]
    assert figures["passed"]
    assert figures["max_error_of_range"] < 1e-5
    assert figures["flipped"] == figures["flipped_allowed"]
    assert (figures["samples"], figures["logits_compared"]) == (2, 2 * 2050)


def test_without_asking_nothing_is_tested(model_file: Path) -> None:
    assert Segmenter(model_file, provider="cpu").test_report is None


def test_one_spoiled_weight_fails(model_file: Path) -> None:
    with pytest.raises(SelfTestError, match=r"cpu does not reproduce the golden samples.*limit of 1e-04") as caught:
        Segmenter(resealed(model_file, spoil_one_weight), provider="cpu", self_test=True)
    assert caught.value.exit_code == 1
    assert not caught.value.report["self_test"]["passed"]
    unspoiled = resealed(model_file, lambda proto: None)
    assert Segmenter(unspoiled, provider="cpu", self_test=True)  # the change alone does not fail


@pytest.mark.parametrize(
    "wrong",
    [{"intensity": Intensity("zscore", std_floor=0.01)}, {"method": "stretch"}, {"threshold": 0.9}],
)
def test_a_wrong_contract_fails(make_model: MakeModel, wrong: dict[str, Any]) -> None:
    made = make_model(decision="threshold", classes=3)
    contract = changed(made.contract, **wrong)
    content = stamped(onnx.load(made.path), contract, golden_text(made.path))
    with pytest.raises(SelfTestError, match="does not reproduce the golden samples"):
        Segmenter(content, provider="cpu", self_test=True)


def test_a_file_without_samples_says_so(model: Made) -> None:
    content = stamped(onnx.load(model.path), model.contract)
    assert Segmenter(content, provider="cpu")
    with pytest.raises(ModelError, match=r"has no golden samples.*Export it again"):
        Segmenter(content, provider="cpu", self_test=True)


@pytest.mark.parametrize(
    "damage", [lambda t: t[: len(t) // 2], lambda t: "", lambda t: "?" + t[1:], lambda t: t + "\n"]
)
def test_damaged_samples_are_told(model: Made, damage: Callable[[str], str]) -> None:
    text = damage(golden_text(model.path)) or "AAAA"
    content = stamped(onnx.load(model.path), model.contract, text)
    with pytest.raises(ModelError, match="golden samples cannot be read"):
        Segmenter(content, provider="cpu", self_test=True)


def test_the_command_line_passes_and_tells(model_file: Path) -> None:
    result = ok(seg_edge("self-test", "--model", model_file, "--provider", "cpu"))
    report = json.loads(result.stdout)
    assert report["self_test"]["passed"]
    assert report["provider"]["used"] == "cpu"
    assert report["versions"]["onnxruntime"] == onnxruntime.__version__
    for word in ("largest error", "relative to range", "flipped px", "passed", "ms per sample", "nodes"):
        assert word in result.stderr


@pytest.mark.skipif(
    not hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
    reason="this ONNX Runtime does not tell which provider runs which node",
)
def test_nodes_are_counted_per_provider(model_file: Path) -> None:
    report = json.loads(seg_edge("self-test", "--model", model_file, "--provider", "cpu").stdout)
    assert set(report["placement"]) == {"CPUExecutionProvider"}
    assert 20 < report["placement"]["CPUExecutionProvider"] < 200


def test_the_command_line_fails_with_its_report(model_file: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.onnx"
    spoiled.write_bytes(resealed(model_file, spoil_one_weight))
    result = seg_edge("self-test", "--model", spoiled, "--provider", "cpu")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["self_test"]["failures"]
    assert result.stderr.splitlines()[-1].startswith("error: cpu does not reproduce")


CONTRACT = contract(188, method="fit")


def by_hand(close: bool) -> Sample:
    """A 4 x 4 image, class 1 ahead by 10 but in its first pixel, where it is ahead by 0.001."""
    labels = np.ones((4, 4), np.uint8)
    undecided = np.zeros((4, 4), bool)
    undecided[0, 0] = close
    logits = np.array([0, 0.001, 10], np.float32)
    return Sample(
        Pixels(np.zeros((4, 4, 1), np.uint8)), labels, undecided, np.array([0, 16, 17], np.int32), logits, 0, 10
    )


def answer(first: float) -> tuple[np.ndarray, np.ndarray]:
    logits = np.zeros((2, 4, 4), np.float32)
    logits[1] = 10
    logits[1, 0, 0] = first
    return (logits[1] > logits[0]).astype(np.uint8), logits


def test_figures_by_hand() -> None:
    result = SelfTest(limit=1e-3)
    result.add(by_hand(close=True), *answer(-0.004), CONTRACT)
    assert result.max_abs_error == pytest.approx(0.005, rel=1e-4)
    assert result.max_error_of_range == pytest.approx(0.0005, rel=1e-4)
    assert (result.flipped, result.allowed) == (1, 1)
    assert result.max_flip_margin == pytest.approx(0.004, rel=1e-4)
    assert result.failures() == []


def test_a_flip_where_torch_was_sure_fails() -> None:
    result = SelfTest(limit=1e-3)
    result.add(by_hand(close=False), *answer(-0.004), CONTRACT)
    assert result.failures() == ["1 of 16 px have a different label although the correct one is certain"]


def test_an_error_over_the_limit_fails_even_without_a_flip() -> None:
    result = SelfTest(limit=1e-5)
    result.add(by_hand(close=False), *answer(0.002), CONTRACT)
    assert result.flipped == 0
    assert result.failures() == ["the largest error is 1.00e-04 of the logit range, more than the limit of 1e-05"]


def test_an_error_on_average_over_its_own_limit_fails() -> None:
    result = SelfTest(limit=1e-3, rms_limit=1e-4)
    result.add(by_hand(close=False), *answer(0.004), CONTRACT)
    assert result.max_rms_of_range == pytest.approx(0.003 / 10 / np.sqrt(5))  # of three logits and the two ends
    assert result.failures() == ["the RMS error is 1.34e-04 of the logit range, more than the limit of 1e-04"]
    assert SelfTest(limit=1e-3, rms_limit=2e-4, samples=1, max_rms_of_range=1.34e-4).failures() == []


def test_an_extreme_between_the_sampled_positions_is_seen() -> None:
    labels, logits = answer(0.001)
    logits[1, 3, 3] = 11
    result = SelfTest(limit=1e-3)
    result.add(by_hand(close=False), labels, logits, CONTRACT)
    assert result.max_abs_error == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_fails(bad: float) -> None:
    labels, logits = answer(0.001)
    logits[0, 2, 2] = bad
    result = SelfTest(limit=1e-3)
    result.add(by_hand(close=False), labels, logits, CONTRACT)
    assert "1 logits are NaN or infinite" in result.failures()
    json.dumps(result.as_dict(), allow_nan=False)


@pytest.mark.parametrize("geometry", ["tile", "fit"])
def test_a_host_ready_file_is_judged_by_its_probe(make_model: MakeModel, geometry: str) -> None:
    made = make_model(geometry=geometry, options=HOST_READY)
    report = Segmenter(made.path, provider="cpu", self_test=True).test_report
    assert report is not None
    assert report["self_test"]["logits_compared"] == 2 * 2 * 5 * 5  # samples, classes, every 16th of 68 px each way
    assert report["self_test"]["max_error_of_range"] < 1e-5
    with pytest.raises(SelfTestError, match=r"error is .* of the logit range"):
        Segmenter(resealed(made.path, spoil_one_weight), provider="cpu", self_test=True)


def test_golden_text_of_another_shape_is_refused() -> None:
    text = Golden((by_hand(close=True),)).to_text().encode()
    assert Golden.from_text(text, CONTRACT).samples[0].close[0, 0]
    for other in ({"channels": 3}, {"output_shape": (2, 2)}):
        with pytest.raises(ModelError, match="golden samples cannot be read"):
            Golden.from_text(text, changed(CONTRACT, **other))


@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA on this machine"
)
def test_tf32_is_seen_to_fail(make_model: MakeModel) -> None:
    made = make_model()
    assert Segmenter(made.path, provider="cuda", self_test=True).test_report
    with pytest.raises(SelfTestError, match="cuda does not reproduce"):
        Segmenter(made.path, provider="cuda", fast_math=True, self_test=True)
