"""Every network of the family on its way through export: parity, rewriting, whole pipelines, int8."""

import numpy as np
import pytest
import torch
from seg_export.network import to_onnx
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_runtime import ClassInfo, Segmenter
from seg_runtime.answers import answer_of
from seg_toolkit.checkpoints import Checkpoint
from seg_toolkit.networks import build, torch_infer
from seg_toolkit.networks.attention import AttentionUNet

from tests.support.bright import bright, folder
from tests.support.contracts import contract_of
from tests.support.models import checkpoint_of

CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))
FAMILY = {  # name -> its options, a small window, geometry
    "padded, batch norm": ({"kind": "unet", "padding": "same", "norm": "batch", "depth": 2}, 96, "tile"),
    "instance norm, whole": ({"kind": "unet", "padding": "same", "norm": "instance", "margin": 0, "depth": 2}, 64, "fit"),
    "attention": ({"kind": "attention", "depth": 2}, 100, "tile"),
    "multiscale": ({"kind": "multiscale", "depth": 2}, 100, "tile"),
    "ternaus": ({"kind": "ternaus"}, 384, "tile"),
    "ternaus, whole": ({"kind": "ternaus", "margin": 0}, 64, "fit"),
}  # fmt: skip


def checkpoint(name: str, width: int = 4) -> Checkpoint:
    """Random weights whose logits have a median of 0, so that both classes are answered."""
    options, side, geometry = FAMILY[name]
    torch.manual_seed(0)
    model = build({"in_channels": 3, "classes": 2, "width": width, **options})
    model(torch.rand(2, 3, side, side))  # norms have seen something
    model.eval()
    with torch.no_grad():
        for value in model.parameters():
            value += 0.02 * torch.randn(value.shape)
        logits = model(torch.rand(1, 3, side, side))[0].flatten(1)
        model.head.weight /= logits.std(1)[:, None, None, None]
        model.head.bias.copy_((model.head.bias - logits.median(1).values) / logits.std(1))
    return checkpoint_of(model, contract_of(model, side, method=geometry))


@pytest.mark.parametrize("name", FAMILY)
def test_parity_holds(name):
    exported = export(checkpoint(name))
    assert exported.contract.parity["holds"]
    assert 0 < exported.contract.parity["relative_error"] < 1e-5
    assert exported.contract.geometry.stride == (32 if "ternaus" in name else 4)


@pytest.mark.parametrize("name", ["padded, batch norm", "attention", "multiscale"])
def test_rewriting_finds_its_layers_and_leaves_the_others(name):
    exported = export(checkpoint(name), ExportOptions(optimize=True))
    assert exported.contract.parity["relative_error"] < 1e-5
    forms = exported.contract.provenance["rewritten"]
    if name == "padded, batch norm":
        assert set(forms.values()) == {"dilated"}  # the margin; padded convolutions have one form
    if name == "attention":
        assert set(forms.values()) == {"dilated", "split"}
        assert not any(layer.startswith("gates") for layer in forms)
    if name == "multiscale":
        assert forms["down.1.0.weight"] == forms["merge.1.0.weight"] == "split"


@pytest.mark.parametrize("name", ["attention", "ternaus, whole"])
def test_host_ready(name):
    exported = export(checkpoint(name), ExportOptions(host_ready=True))
    assert exported.contract.parity["host_ready"]["differing"] == 0


@pytest.mark.parametrize("name", ["padded, batch norm", "attention"])
def test_the_runtime_answers_as_torch_does(name):
    source = checkpoint(name)
    image = np.random.default_rng(0).integers(0, 256, (75, 90, 3), dtype=np.uint8)
    expected = answer_of(source.contract).segment(image, torch_infer(source.build(), torch.device("cpu")))
    assert 0 < expected.mean() < 1
    with Segmenter(export(source).content, provider="cpu", self_test=True) as segmenter:
        labels = segmenter(image).labels
    assert (labels != expected).mean() < 1e-3


def test_helper_heads_stay_behind():
    source = checkpoint("multiscale")
    graph = to_onnx(source.build(), source.contract).graph
    names = {tensor.name for tensor in graph.initializer}
    assert any(name.startswith("helpers") for name in source.state)
    assert not any("helpers" in name for name in names)
    assert "head.weight" in names
    assert [o.name for o in graph.output] == ["logits"]


def test_batch_norm_costs_nothing_when_exported():
    source = checkpoint("padded, batch norm")
    kinds = {node.op_type for node in to_onnx(source.build(), source.contract).graph.node}
    assert kinds == {"Conv", "Relu", "MaxPool", "ConvTranspose", "Concat", "Slice"}


def test_int8_of_attention(tmp_path):
    images = folder(tmp_path / "calibration")
    exported = export(
        bright(kind=AttentionUNet), ExportOptions(precision="int8", calibration=images, reduce_range=False)
    )
    assert exported.contract.file.precision == "int8"
    assert exported.contract.parity["int8"]["drop"] < 1
    with Segmenter(exported.content, provider="cpu", self_test=True) as segmenter:
        assert segmenter.contract.file.precision == "int8"
