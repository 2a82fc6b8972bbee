"""A file of several windows a call answers each as a file of one window does, and what cannot be so is refused."""

import json

import numpy as np
import onnx
import pytest
import torch
from seg_export.network import to_onnx
from seg_export.options import ExportOptions, Watching
from seg_export.pipeline import export
from seg_export.steps import batching as module
from seg_export.steps.batching import batched
from seg_export.steps.rewrite.apply import layers_of, rewritten
from seg_runtime import SegError, Segmenter
from seg_runtime.engine.session import Session
from seg_runtime.model.golden import FP32_LIMIT
from seg_runtime.support import OptionsError, ParityError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks.unet import UNet

from tests.support.bright import bright, folder, two_tone
from tests.support.commands import ok, seg_export
from tests.support.contracts import contract_of
from tests.support.images import noise_image
from tests.support.models import CPU, Made, MakeModel

N = 3


@pytest.fixture(scope="module")
def three(model: Made) -> bytes:
    """The quick model again, three windows a call."""
    return export(load(model.checkpoint), ExportOptions(batch=N)).content


def windows(count: int) -> np.ndarray:
    images = [noise_image(252, 252, seed=s) for s in range(count)]
    return np.stack(images).astype(np.float32).transpose(0, 3, 1, 2) / 255


def test_the_file_takes_so_many_windows_and_says_so(three: bytes):
    session = Session(three, CPU)
    assert session.contract.file.batch == N
    assert [v.shape for v in session._ports()] == [[N, 3, 252, 252], [N, 2, 68, 68]]
    figures = session.contract.parity["batch"]
    assert figures["windows"] == 4  # one full batch and one that is filled up
    assert figures["max_abs_error"] <= FP32_LIMIT * session.contract.parity["logit_range"]


@pytest.mark.parametrize("count", [1, 2, N])
def test_each_window_is_answered_as_alone(model: Made, three: bytes, count: int):
    alone, together, some = Session(model.path, CPU), Session(three, CPU), windows(count)
    wanted = np.concatenate([alone.run(window[None]) for window in some])
    came = together.run(some)
    assert came.shape == (count, 2, 68, 68)
    assert np.abs(came - wanted).max() <= 1e-5 * np.ptp(wanted)


@pytest.mark.parametrize("size", [(1, 1), (68, 68), (70, 150), (300, 230)])  # 1, 1, 6 and 20 windows
def test_labels_and_probabilities_are_those_of_one_window_a_call(model: Made, three: bytes, size: tuple[int, int]):
    image, seen = noise_image(*size, seed=5), []
    alone, together = Segmenter(model.path, provider="cpu"), Segmenter(three, provider="cpu")
    wanted = alone(image, probabilities=True)
    np.testing.assert_array_equal(together(image, progress=lambda *at: seen.append(at)).labels, wanted.labels)
    came = together(image, probabilities=True)
    np.testing.assert_array_equal(came.labels, wanted.labels)
    np.testing.assert_allclose(came.probabilities, wanted.probabilities, atol=1e-5)
    assert came.record["model"]["batch"] == N
    total = seen[-1][1]
    assert seen == [(min(n, total), total) for n in range(N, total + N, N)]


def test_it_answers_its_golden_samples(three: bytes):
    assert Segmenter(three, provider="cpu", self_test=True).test_report["self_test"]["passed"]


def test_a_batch_that_mixes_its_windows_is_seen(model: Made, monkeypatch: pytest.MonkeyPatch):
    def mixed(graph: onnx.ModelProto, batch: int) -> onnx.ModelProto:
        """The windows come out in the order of their neighbours."""
        result = batched(graph, batch)
        nodes = result.graph.node
        last = next(n for n in nodes if n.output[0] == "logits")
        last.output[0] = "in order"
        order = onnx.numpy_helper.from_array(np.roll(np.arange(batch), 1), "order")
        result.graph.initializer.append(order)
        nodes.append(onnx.helper.make_node("Gather", ["in order", "order"], ["logits"], axis=0))
        return result

    monkeypatch.setattr(module, "batched", mixed)
    told: list[str] = []
    watching = Watching(report=lambda figures, contract: told.append(figures))
    with pytest.raises(ParityError, match="the file with 2 windows per call does not agree with the graph before"):
        export(load(model.checkpoint), ExportOptions(batch=2), watching)
    assert "the file with 2 windows per call" in told[-1]  # the figures of what was refused


def test_skips_that_are_resized(make_model: MakeModel):
    made = make_model(skip="resize")
    alone, together = (
        Session(made.path, CPU),
        Session(export(load(made.checkpoint), ExportOptions(batch=2)).content, CPU),
    )
    some = windows(2)
    np.testing.assert_allclose(together.run(some)[1], alone.run(some[1:])[0], atol=1e-5)


@pytest.mark.parametrize("name", ["int8", "fp16"])
def test_other_precisions(name: str, tmp_path):
    torch.manual_seed(0)
    place = folder(tmp_path)
    one, two = (
        export(bright(), ExportOptions(images=place, precision=name, calibration=place, batch=n)) for n in (1, 2)
    )
    assert two.contract.file.precision == name
    image = two_tone(7)
    np.testing.assert_array_equal(
        Segmenter(two.content, provider="cpu", self_test=True)(image).labels,
        Segmenter(one.content, provider="cpu")(image).labels,
    )


def test_a_form_that_lays_out_one_window_is_refused():
    net = UNet(3, 2, width=16, depth=2).eval()
    graph = to_onnx(net, contract_of(net, 76))
    table = {layer.name: "winograd" for layer in layers_of(graph) if layer.kind == "conv"}
    with pytest.raises(SegError, match=r"Reshape .* has the shape of one window.*--optimize"):
        batched(rewritten(graph, table), 2)


@pytest.mark.parametrize("geometry", ["fit", "stretch"])
def test_geometries_of_one_window_are_refused(make_model: MakeModel, geometry: str):
    with pytest.raises(SegError, match=r"--batch needs the geometry tile\. .* segments each image in one window"):
        export(load(make_model(geometry=geometry).checkpoint), ExportOptions(batch=2))


def test_a_host_ready_file_is_refused(model: Made):
    with pytest.raises(SegError, match=r"--batch needs a file of windows\. Leave out --batch or --host-ready"):
        export(load(model.checkpoint), ExportOptions(host_ready=True, batch=2))


@pytest.mark.parametrize("other", ["--host-ready", "--optimize", "--tune"])
def test_contradicting_options_are_refused_at_once(other: str):
    result = seg_export("none.pt", "none.onnx", "--batch", "2", other)
    assert result.exit_code == OptionsError.exit_code
    assert "error: --batch needs" in result.output
    assert other in result.output


def test_on_the_command_line(model: Made, tmp_path):
    target, report = tmp_path / "m.onnx", tmp_path / "r.json"
    words = [model.checkpoint, target, "--batch", 2, "--report", report]
    ok(seg_export(*words))
    assert Session(target, CPU).contract.file.batch == 2
    assert json.loads(report.read_text())["parity"]["holds"]
