"""Each rewrite computes what torch's graph computes, and a wrong one is seen."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from seg_export.network import to_onnx
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_export.steps.rewrite import winograd
from seg_export.steps.rewrite.apply import default_table, layers_of, rewritten
from seg_export.steps.rewrite.layers import FORMS, Layer
from seg_export.steps.rewrite.timing import measure
from seg_runtime import Segmenter
from seg_runtime.model.golden import FP32_LIMIT
from seg_runtime.support import OptionsError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks.unet import UNet

from tests.support.commands import seg_export
from tests.support.contracts import contract_of

BOUND = {
    "winograd": FP32_LIMIT / 4,
    "winograd1d": FP32_LIMIT / 20,
    "winograd2": FP32_LIMIT / 50,
}  # of the logits' range; the others only add in another order
EXACT = 1e-6
SIZES = (76, 92)  # tiles of 4 px that fit some layers, and reach beyond others


def network(size: int = 76, depth: int = 2, **arguments) -> onnx.ModelProto:
    torch.manual_seed(3)
    net = UNet(3, 2, width=16, depth=depth, **arguments).eval()
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.3)  # the exporter drops biases of zero
    return to_onnx(net, contract_of(net, size))


@pytest.fixture(scope="module")
def graphs():
    return {size: network(size) for size in SIZES}


def answer(graph: onnx.ModelProto) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    return session.run(None, {"image": np.random.default_rng(0).random(shape, dtype=np.float32)})[0]


def error(graph: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """Largest difference as a share of the range."""
    wanted, came = answer(graph), answer(other)
    return float(np.abs(came - wanted).max() / np.ptp(wanted))


def whole(graph: onnx.ModelProto, form: str) -> dict[str, str]:
    """A table that gives every layer of a kind one form."""
    return {layer.name: form for layer in layers_of(graph) if form in FORMS[layer.kind]}


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


def test_finds_every_layer(graphs):
    found = layers_of(graphs[76])
    assert [layer.kind for layer in found] == ["conv"] * 6 + ["up", "crop", "conv", "conv"] + [
        "up",
        "crop",
        "conv",
        "conv",
    ]
    first, joined = found[0], found[8]
    assert first == Layer("down.0.0.weight", "conv", 3, 16, (76, 76), (3,))
    assert (joined.name, joined.channels, joined.parts, joined.size) == ("merge.0.0.weight", 64, (32, 32), (24, 24))
    crop = found[7]
    assert (crop.size, crop.taken, crop.left) == ((32, 32), (4, 4), (24, 24))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", sorted({f for forms in FORMS.values() for f in forms[1:]}))
def test_equals_the_original(graphs, size, form):
    graph = graphs[size]
    other = rewritten(graph, whole(graph, form))
    assert operators(other) != operators(graph)
    assert error(graph, other) <= BOUND.get(form, EXACT)


@pytest.mark.parametrize(
    ("form", "gone", "come"),
    [("shuffled", "ConvTranspose", "DepthToSpace"), ("woven", "ConvTranspose", "Transpose"), ("dilated", "Slice", "Conv"),
     ("split", "Concat", "Add"), ("padded", "", "Pad"), ("winograd", "Concat", "Gemm"), ("winograd1d", "", "Gemm"),
     ("winograd2", "Concat", "Gemm")],
)  # fmt: skip
def test_operators(graphs, form, gone, come):
    graph = graphs[76]
    kept = operators(rewritten(graph, whole(graph, form)))
    assert come in kept
    assert form in ("winograd", "winograd2") or gone not in kept  # Winograd joins its products


def test_one_slice_for_two(graphs):
    assert operators(graphs[76]).count("Slice") == 4
    assert operators(rewritten(graphs[76], whole(graphs[76], "slice"))).count("Slice") == 2


def test_a_table_of_nothing_changes_nothing(graphs):
    assert operators(rewritten(graphs[76], {})) == operators(graphs[76])


def test_names_one_layer_only(graphs):
    other = rewritten(graphs[76], {"bottom.2.weight": "winograd"})
    assert operators(other).count("Gemm") == 1
    assert error(graphs[76], other) <= BOUND["winograd"]


def test_skip_of_the_keras_variant():
    graph = network(skip="resize")
    other = rewritten(graph, {**whole(graph, "winograd"), **whole(graph, "woven")})
    assert error(graph, other) <= BOUND["winograd"]


WINOGRAD = {"winograd": "F4", "winograd1d": "F4", "winograd2": "F2"}  # form -> its transforms


@pytest.mark.parametrize("form", WINOGRAD)
@pytest.mark.parametrize("constant", ["g", "a_t", "b_t"])
def test_a_wrong_transform_is_seen(graphs, monkeypatch, form, constant):
    right = getattr(winograd, WINOGRAD[form])
    spoiled = getattr(right, constant).copy()
    spoiled[1, 1] *= 1.01
    monkeypatch.setattr(winograd, WINOGRAD[form], right._replace(**{constant: spoiled}))
    assert error(graphs[76], rewritten(graphs[76], whole(graphs[76], form))) > 10 * FP32_LIMIT


@pytest.mark.parametrize("form", WINOGRAD)
def test_a_bias_added_in_the_wrong_place_is_seen(graphs, monkeypatch, form):
    monkeypatch.setattr(winograd, WINOGRAD[form], getattr(winograd, WINOGRAD[form])._replace(ones=2))
    assert error(graphs[76], rewritten(graphs[76], whole(graphs[76], form))) > 10 * FP32_LIMIT


def test_winograd_along_columns_grows_the_weights_twofold(graphs):
    assert weights(rewritten(graphs[76], {"bottom.2.weight": "winograd1d"})) - weights(graphs[76]) == pytest.approx(
        64 * 64 * 9 * 4, rel=0.1
    )


def weights(graph: onnx.ModelProto) -> int:
    return sum(len(t.raw_data) for t in graph.graph.initializer)


@pytest.mark.parametrize("form", ["woven", "split", "padded", "winograd", "winograd1d"])
def test_weights_are_constants(graphs, form):
    """For quantizers, and because ONNX Runtime would compute them at every start."""
    graph = rewritten(graphs[76], whole(graphs[76], form))
    constants = {t.name for t in graph.graph.initializer}
    weighed = [node.input[1] for node in graph.graph.node if node.op_type in ("Conv", "MatMul")]
    assert len(weighed) >= 10  # the graph has eleven layers with weights, of which one is the head
    assert set(weighed) <= constants


def test_the_same_graph_gives_the_same_bytes(graphs):
    table = default_table(layers_of(graphs[76]))
    first, second = (rewritten(graphs[76], table).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_default_table():
    deep = Layer("deep", "conv", 256, 256, (138, 138), (256,))
    narrow = Layer("narrow", "conv", 64, 64, (570, 570), (64,))
    shallow = Layer("shallow", "conv", 128, 128, (282, 282), (128,))
    heavy = Layer("heavy", "conv", 512, 512, (66, 66), (512,))
    small = Layer("small", "conv", 1024, 1024, (30, 30), (1024,))  # 49 tiles read 150 MB of weights
    joined = Layer("joined", "conv", 128, 64, (392, 392), (64, 64))
    crop, up = Layer("crop", "crop", 64, 64, (568, 568)), Layer("up", "up", 128, 64, (196, 196))
    first = Layer("first", "conv", 3, 64, (572, 572), (3,))
    layers = [deep, shallow, heavy, narrow, small, joined, crop, up, first]
    columns = {"shallow": "winograd1d", "heavy": "winograd1d"}
    assert default_table(layers) == {"deep": "winograd", **columns, "joined": "split", "crop": "dilated"}
    assert default_table(layers, "int8") == {"crop": "slice", "up": "woven", "first": "padded"}
    assert default_table(layers, "fp16") == {}


def test_tune_takes_the_fastest_of_what_it_measured(graphs):
    seen = []
    found = measure(graphs[76], lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == len(seen)
    assert set(found.layer_ms) == {layer.name for layer in layers_of(graphs[76]) if layer.kind == "conv"}
    assert {"torch", "default"} <= set(found.network_ms)
    assert all(ms > 0 for ms in found.network_ms.values())
    assert error(graphs[76], rewritten(graphs[76], found.table)) <= BOUND["winograd"]


@pytest.mark.parametrize("option", ["optimize", "tune"])
@pytest.mark.parametrize("host", [False, True])
def test_export(make_model, option, host):
    exported = export(load(make_model().checkpoint), ExportOptions(host_ready=host, **{option: True}))
    assert exported.contract.parity["relative_error"] <= FP32_LIMIT
    forms = exported.contract.provenance["rewritten"]
    assert option == "tune" or set(forms.values()) == {"dilated", "split"}
    with Segmenter(exported.content, provider="cpu", self_test=True) as segmenter:
        report = segmenter.test_report
    assert report
    assert report["self_test"]["passed"]


def test_a_plain_export_says_that_nothing_was_rewritten(model):
    assert model.contract.provenance["rewritten"] == {}


@pytest.mark.parametrize("option", ["--optimize", "--tune"])
def test_options_that_contradict_each_other(model, tmp_path, option):
    words = [
        str(model.checkpoint),
        str(tmp_path / "m.onnx"),
        option,
        "--precision",
        "fp16",
        "--calibration",
        str(tmp_path),
    ]
    done = seg_export(*words)
    assert done.exit_code == OptionsError.exit_code
    assert f"error: {option} needs fp32. Leave out {option}, since fp16 is for CUDA" in done.output
    assert not (tmp_path / "m.onnx").exists()


def test_a_convolution_without_relu_is_no_layer(graphs):
    """The forms are those of a convolution and its ReLU: a table must not name what it cannot change."""
    graph = onnx.ModelProto()
    graph.CopyFrom(graphs[76])
    name = "bottom.2.weight"
    assert name in {layer.name for layer in layers_of(graph)}
    conv = next(n for n in graph.graph.node if name in n.input)
    relu = next(n for n in graph.graph.node if conv.output[0] in n.input)
    relu.op_type = "Sigmoid"
    assert name not in {layer.name for layer in layers_of(graph)}
