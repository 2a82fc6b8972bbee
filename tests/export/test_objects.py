"""Objects on their way through export: judged by window, by self-test and by precision, and written by the runtime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_export.proof import Parity
from seg_export.steps.precision.cost import GOAL, OBJECTS, Cost
from seg_runtime import SegError, Segmenter, SelfTestError
from seg_runtime.answers import Objects, objects
from seg_runtime.answers.separate import unmatched
from seg_runtime.checks.selftest import SelfTest
from seg_runtime.model import Policy
from seg_runtime.outputs import summary_of
from seg_runtime.pipeline import Float

from tests.support.commands import ok, seg_run_on_cpu
from tests.support.images import noise_image
from tests.support.models import Made, made, mixed_network
from tests.support.policies import with_parts
from tests.support.touching import of_objects


@pytest.fixture(scope="module", params=["border", "distance"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    how = of_objects(request.param, 204, smallest_px=3)
    net = mixed_network(1, how.answer.maps, 2, "crop", 204, 3)
    return made(tmp_path_factory.mktemp(request.param), net, how)


def test_parity_and_self_test_count_objects(model: Made) -> None:
    figures = model.contract.parity
    assert figures["holds"]
    assert figures["objects"] > 0
    assert figures["unmatched"] <= figures["flipped"]
    with Segmenter(model.path, provider="cpu", self_test=True) as segmenter:
        assert segmenter.test_report is not None
        report = segmenter.test_report["self_test"]
    assert report["objects"] > 0
    assert report["objects_unmatched"] == 0


def test_objects_without_a_partner_fail_although_all_pixels_agree(model: Made) -> None:
    spec = model.contract.answer
    logits = np.random.default_rng(0).normal(0, 3, (spec.maps, 20, 20)).astype(np.float32)
    result = Parity()
    result.add(logits, logits, model.contract)
    assert result.failures() == []
    assert replace_unmatched(result)[0].startswith("2 objects have no partner")
    test = SelfTest(1e-4, samples=1, unmatched=1)
    assert "1 objects have no partner" in test.failures()[0]


def test_an_object_without_a_pixel_of_a_coarse_image_is_none(
    model: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels of 3 µm, and of 1 µm for the network: rows 1, 4, 7, … come back. A network gives such thin objects too seldom."""
    ids = np.zeros((180, 150), np.int32)
    ids[10:20, 10:20], ids[30, 20:28], ids[60:70, 60:70] = 1, 2, 3
    monkeypatch.setattr(objects, "grown", lambda *_: ids)
    policy = Policy(trained_spacing_mm=((1e-3, 1e-3),) * 2)
    with Segmenter(with_parts(model.path, tmp_path / "m.onnx", policy=policy), provider="cpu") as segmenter:
        result = segmenter(noise_image(60, 50, 1), spacing_mm=(3e-3,))
    assert np.unique(result.objects).tolist() == [0, 1, 2]
    assert result.measurements["label"].tolist() == [1, 2]
    assert result.record["objects"] == summary_of(result)["objects"] == 2
    assert sum(entry.get("objects", 0) for entry in result.record["classes"]) == 2


def replace_unmatched(result: Parity) -> list[str]:
    return replace(result, unmatched=2).failures()


def test_a_device_that_separates_otherwise_fails_the_self_test(model: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Objects.whole

    def without_the_first(self: Objects, stitched: Float) -> Float:
        ids, *others = whole(self, stitched)
        return np.stack([np.where(ids == 1, 0, ids), *others])

    monkeypatch.setattr(Objects, "whole", without_the_first)
    with pytest.raises(SelfTestError, match="objects have no partner"):
        Segmenter(model.path, provider="cpu", self_test=True)


def test_a_precision_that_loses_objects_is_refused() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[:, ::4] = 1
    ids = (np.cumsum(labels, axis=1) * labels).astype(np.int32)
    cost = Cost(2)
    cost.add(labels, labels)
    cost.add_objects(ids, ids)
    assert cost.failures() == []
    assert cost.off == 0
    fewer = np.where(ids > 7, 0, ids)
    cost.add_objects(ids, fewer)
    assert unmatched(ids, fewer) == 3
    assert cost.unmatched_percent == pytest.approx(100 * 3 / 37)
    assert cost.unmatched_percent > OBJECTS
    assert "objects have no partner" in cost.failures()[0]
    assert cost.off > GOAL  # so that the search for layers in float goes on


def test_one_object_that_is_divided_otherwise_is_no_loss() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[1:7, 1:7] = 1
    apart = labels.astype(np.int32)
    apart[:, 6:] *= 2
    cost = Cost(2)
    cost.add(labels, labels)
    cost.add_objects(labels.astype(np.int32), apart)
    assert cost.unmatched_percent > OBJECTS
    assert cost.failures() == []


def test_a_run_writes_classes_ids_and_counts(model: Made, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(noise_image(90, 70, 1)[..., 0]).save(image)
    ok(seg_run_on_cpu("--model", model.path, image, "--out", tmp_path))
    ids = tifffile.imread(tmp_path / "a_objects.tif")
    mask = np.asarray(Image.open(tmp_path / "a_mask.png"))
    record = json.loads((tmp_path / "a.json").read_text())
    assert ids.dtype == np.uint16
    np.testing.assert_array_equal(ids > 0, mask > 0)
    assert record["objects"] == ids.max() == record["classes"][1]["objects"]
    assert record["outputs"]["objects"] == "a_objects.tif"
    with Segmenter(model.path, provider="cpu") as segmenter:
        found = segmenter(image)
    np.testing.assert_array_equal(found.objects, ids)
    np.testing.assert_array_equal(found.labels, mask)


def test_a_missing_package_is_known_when_a_model_is_opened(model: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg_runtime.support.imports.find_spec", lambda name: None)
    with pytest.raises(SegError, match="scikit-image is not installed"):
        Segmenter(model.path, provider="cpu")


def test_a_smallest_object_of_their_own_is_said(model: Made, tmp_path: Path) -> None:
    Image.fromarray(noise_image(90, 70, 1)[..., 0]).save(tmp_path / "a.png")
    done = ok(seg_run_on_cpu("--model", model.path, tmp_path / "a.png", "--out", tmp_path, "--smallest-object", "9"))
    assert done.output.count("--smallest-object") == 1
    assert "this model has a smallest object of its own" in done.output
