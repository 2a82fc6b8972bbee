"""Host-ready files of models of objects: planes like those of the runtime, and objects in every way the runtime gives them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tifffile
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_export.steps.hostready import decisions
from seg_export.steps.hostready.builder import Builder
from seg_runtime import Segmenter, SelfTestError
from seg_runtime.answers import Objects, unmatched
from seg_runtime.model import Contract
from seg_runtime.support.errors import ParityError
from seg_toolkit.checkpoints import load

from tests.support.commands import ok, seg_run_on_cpu
from tests.support.contracts import named
from tests.support.damage import resealed, spoil_one_weight
from tests.support.images import noise_image
from tests.support.models import HOST_READY, Made, made, mixed_network
from tests.support.touching import of_objects

SIZES = [(1, 1), (3, 50), (41, 20), (67, 90)]  # an output window has 20 px


@pytest.fixture(scope="module", params=["border-2", "distance-2", "border-3", "distance-3"])
def forms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Made, Made]:
    """The window form and the host-ready form of a model."""
    separation, classes = request.param.split("-")
    how = of_objects(separation, 204, classes=named(int(classes)), smallest_px=2, mask_threshold=0.65)
    net = mixed_network(1, how.answer.maps, 2, "crop", 204, 3)
    return made(tmp_path_factory.mktemp("window"), net, how), made(
        tmp_path_factory.mktemp("host"), net, how, HOST_READY
    )


def test_objects_are_those_of_the_window_form(forms: tuple[Made, Made]) -> None:
    window, host = forms
    found = 0
    with Segmenter(window.path, provider="cpu") as python, Segmenter(host.path, provider="cpu") as whole:
        for height, width in SIZES:
            image = noise_image(height, width, 1, height)
            planes = whole.session.run_image(image)[0]
            wanted = Objects(window.contract).stitched(image, python.session.run)
            assert not decisions.DECISIONS["objects"].beyond(planes, wanted).any()
            np.testing.assert_array_equal(planes[0], wanted[0])
            ours, theirs = whole(image), python(image)
            assert unmatched(ours.objects, theirs.objects) == 0
            assert ours.record["objects"] == theirs.record["objects"]
            found += ours.record["objects"]
    assert found > 5


def test_the_contract_holds_the_figures(forms: tuple[Made, Made]) -> None:
    figures = forms[1].contract.parity["host_ready"]
    assert figures["objects"] > 2
    assert figures["unmatched"] == 0
    assert figures["differing"] < figures["pixels"] / 1000
    assert forms[1].contract.file.kind == "host-ready"


def test_the_self_test_counts_objects_and_sees_a_wrong_weight(forms: tuple[Made, Made]) -> None:
    host = forms[1]
    with Segmenter(host.path, provider="cpu", self_test=True) as segmenter:
        assert segmenter.test_report is not None
        report = segmenter.test_report["self_test"]
    assert report["pixels"] > 0
    assert report["objects"] > 0
    assert report["objects_unmatched"] == 0
    with pytest.raises(SelfTestError, match="does not reproduce the golden samples"):
        Segmenter(resealed(host.path, spoil_one_weight), provider="cpu", self_test=True)


def test_the_self_test_sees_lost_objects(forms: tuple[Made, Made], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Objects.whole

    def without_the_first(self: Objects, stitched: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        ids, *others = whole(self, stitched)
        return np.stack([np.where(ids == 1, 0, ids), *others])

    monkeypatch.setattr(Objects, "whole", without_the_first)
    with pytest.raises(SelfTestError, match="objects have no partner"):
        Segmenter(forms[1].path, provider="cpu", self_test=True)


def test_a_run_writes_the_same_files_from_either_form(forms: tuple[Made, Made], tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(noise_image(90, 70, 1)[..., 0]).save(image)
    for name, form in zip(("window", "host"), forms, strict=True):
        ok(seg_run_on_cpu("--model", form.path, image, "--out", tmp_path / name, "--overlay"))
    ids, others = (tifffile.imread(tmp_path / name / "a_objects.tif") for name in ("window", "host"))
    assert ids.max() > 0
    assert unmatched(ids, others) == 0
    records = [json.loads((tmp_path / name / "a.json").read_text()) for name in ("window", "host")]
    assert records[0]["objects"] == records[1]["objects"]
    assert {p.name for p in (tmp_path / "host").iterdir()} == {p.name for p in (tmp_path / "window").iterdir()}


def test_slices_of_a_volume_form_objects_of_the_volume(forms: tuple[Made, Made]) -> None:
    volume = np.stack([noise_image(30, 30, 1, seed) for seed in (1, 1, 2)])
    found = []
    for form in forms:
        with Segmenter(form.path, provider="cpu") as segmenter:
            found.append(segmenter.segment_page(_page(volume)).objects)
    assert found[0].shape == (3, 30, 30)
    assert found[0].max() > 0
    assert unmatched(*found) == 0


def _page(volume: np.ndarray) -> object:  # type: ignore[type-arg]
    from seg_runtime.formats import Page

    return Page(volume, "volume")


def _spoilt(b: Builder, contract: Contract, logits: str) -> str:
    return decisions.planes(b, contract, b("Mul", logits, b.const(0.9, np.float32)))


def test_wrong_planes_are_refused(forms: tuple[Made, Made], monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = decisions.Decision(_spoilt, decisions.DECISIONS["objects"].levels)
    monkeypatch.setitem(decisions.DECISIONS, "objects", wrong)  # type: ignore[arg-type]
    with pytest.raises(ParityError, match="px differ between the host-ready form and the runtime"):
        export(load(forms[0].checkpoint), ExportOptions(host_ready=True))


def test_planes_are_the_runtimes_to_a_level(forms: tuple[Made, Made]) -> None:
    """For logits of any size, also those whose exponentials would overflow."""
    from onnx import helper
    from seg_export.graph import IR_VERSION, OPSET
    from seg_export.steps.hostready.builder import FLOAT, UINT8

    contract = forms[0].contract
    b = Builder("test")
    b.node("Identity", [decisions.planes(b, contract, "logits")], ["planes"])
    info = helper.make_tensor_value_info
    maps = contract.answer.maps
    graph = helper.make_graph(
        b.nodes,
        "test",
        [info("logits", FLOAT, [maps, "h", "w"])],
        [info("planes", UINT8, [3, "h", "w"])],
        b.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng, most = np.random.default_rng(0), 0
    for scale in (1, 10, 200):
        logits = rng.normal(0, scale, (maps, 300, 200)).astype(np.float32)
        wanted = Objects(contract).window(logits)
        [planes] = session.run(None, {"logits": logits})
        np.testing.assert_array_equal(planes[0], wanted[0])
        most = max(most, int(np.abs(planes.astype(int) - wanted).max()))
    assert most <= 1
