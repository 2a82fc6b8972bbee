"""int8 and fp16 graphs: standard operators, measured ranges, layers that stay in float."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from seg_export.graph import IR_VERSION, OPSET, with_node_names
from seg_export.network import to_onnx
from seg_export.proof import generated_windows
from seg_export.steps.precision import int8
from seg_export.steps.precision.calibrate import Spread, infer_of
from seg_export.steps.precision.choose import GAIN, TAILS, choose
from seg_export.steps.precision.cost import GOAL, Cost
from seg_export.steps.precision.fp16 import halved, in_float, rounded
from seg_export.steps.precision.int8 import layers, quantised, saturates
from seg_runtime.support.errors import DataError, ParityError

from tests.support.bright import bright


@pytest.fixture(scope="module")
def source():
    checkpoint = bright()
    graph = to_onnx(checkpoint.build(), checkpoint.contract)
    windows = list(generated_windows(checkpoint.contract, 2))
    return graph, windows, Spread.of(graph, windows).ranges()


def operators(graph):
    return {n.op_type for n in graph.graph.node}


def stored(graph):
    """Name of a weight -> its values, of those in 8 bits."""
    return {
        t.name: numpy_helper.to_array(t)
        for t in graph.graph.initializer
        if t.data_type == TensorProto.INT8 and len(t.dims) == 4
    }


def test_ranges_are_those_of_the_activations(source):
    graph, windows, found = source
    assert found["image"] == (min(w.min() for w in windows), max(w.max() for w in windows))
    logits = [infer_of(graph)(w) for w in windows]
    assert found["logits"] == pytest.approx((min(v.min() for v in logits), max(v.max() for v in logits)), rel=1e-5)
    rectified = [found[name] for name in found if name.startswith("relu")]
    assert len(rectified) == 18  # two a level, four levels down and up, and the bottom
    assert min(low for low, _ in rectified) >= 0
    assert not any("weight" in name for name in found)


def test_ranges_refuse_nan_and_nothing(source):
    graph, windows, _ = source
    with pytest.raises(DataError, match="there is no window to calibrate on"):
        Spread.of(graph, [])
    with pytest.raises(ParityError, match="NaN or infinite"):
        Spread.of(graph, [windows[0] * np.nan])


def test_int8_is_standard_and_near(source):
    graph, windows, found = source
    before = graph.SerializeToString(deterministic=True)
    made = quantised(graph, found)
    assert graph.SerializeToString(deterministic=True) == before  # the source stays as it was
    assert {n.domain for n in made.graph.node} <= {"", "ai.onnx"}
    assert (made.ir_version, made.opset_import[0].version) == (IR_VERSION, OPSET)
    assert "Relu" not in operators(made)  # folded into zero points
    assert len(stored(made)) == 22  # every convolution; the head is a product
    weight = stored(made)["down.1.0.weight_quantized"]
    assert np.abs(weight.astype(int)).reshape(len(weight), -1).max(axis=1).min() > 120  # a scale for each channel
    fp32, came = infer_of(graph)(windows[0]), infer_of(made)(windows[0])
    assert np.abs(came - fp32).max() / np.ptp(fp32) < 0.03
    same = infer_of(made, exact=True)(windows[0])
    assert np.abs(came - same).max() / np.ptp(fp32) < 0.02


def test_seven_bits(source):
    graph, _, found = source
    weights = stored(quantised(graph, found, reduce_range=True)).values()
    assert 60 < max(np.abs(w.astype(int)).max() for w in weights) <= 64


def test_the_same_graph_gives_the_same_bytes(source):
    graph, _, found = source
    first, second = (quantised(graph, found).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_kept_layers_stay_in_float(source):
    graph, windows, found = source
    every = layers(graph)
    assert len(every) == 1 + 22  # the image, and what each convolution makes
    made = quantised(graph, found, [name for layer in every for name in layer])
    assert not stored(made)
    assert "QuantizeLinear" not in operators(made)
    two = quantised(graph, found, every[1])
    assert len(stored(two)) == 20
    assert "Relu" in operators(two)
    assert np.isfinite(infer_of(two)(windows[0])).all()


def test_nodes_without_names_are_told_apart(source):
    graph, windows, found = source
    bare = onnx.ModelProto.FromString(graph.SerializeToString())
    for node in bare.graph.node:
        node.name = ""
    names = [n.name for n in with_node_names(bare).graph.node]
    assert len(set(names)) == len(names)
    assert np.array_equal(infer_of(quantised(bare, found))(windows[0]), infer_of(quantised(graph, found))(windows[0]))


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"AVX2": True, "AVX512F": True, "AVX512_VNNI": True}, False),
        ({"AVX2": True, "AVX_VNNI": True}, False),
        ({"ASIMDDP": True}, False),
        ({"AVX2": True, "AVX512F": True, "AVX512_VNNI": False}, True),
        (dict.fromkeys(["AVX2", "AVX512F", "AVX512_VNNI", "AVX_VNNI", "ASIMDDP"]), True),
    ],
)
def test_reduce_range_follows_the_processor(monkeypatch, has, expected):
    monkeypatch.setattr(int8, "cpu_features", lambda: has)
    assert saturates() is expected


def by_hand(first, second):
    """image -> Conv a -> mid -> Conv b -> logits, 1 x 1 kernels of one weight."""
    nodes = [
        helper.make_node("Conv", ["image", "a.weight"], ["mid"], name="a"),
        helper.make_node("Conv", ["mid", "b.weight"], ["logits"], name="b"),
    ]
    weights = [(n, np.full((1, 1, 1, 1), v, np.float32)) for n, v in (("a.weight", first), ("b.weight", second))]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 4, 4]) for n in ("image", "logits")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [numpy_helper.from_array(v, n) for n, v in weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def test_fp16_keeps_its_ends_and_what_would_overflow():
    graph = by_hand(1e4, 1e-4)
    window = np.linspace(5, 10, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    found = Spread.of(graph, [window]).ranges()
    kept = in_float(graph, found)
    assert set(kept) == {"a", "b"}  # mid reaches 1e5, above 65504
    np.testing.assert_allclose(infer_of(halved(graph, kept))(window), window, rtol=2e-3)
    np.testing.assert_allclose(infer_of(rounded(graph, kept))(window), infer_of(halved(graph, kept))(window))
    assert not np.isfinite(infer_of(rounded(graph))(window)).all()  # what the list is for
    assert np.isfinite(infer_of(halved(graph))(window)).all()  # and what ONNX Runtime hides on a CPU
    assert in_float(by_hand(1.0, 1.0), Spread.of(by_hand(1.0, 1.0), [window]).ranges()) == ("b",)


def test_rounding_between_nodes_is_seen_although_a_cpu_leaves_it_out():
    graph = by_hand(0.3, 1.0)
    window = np.linspace(5, 10, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    exact, came = infer_of(rounded(graph, ["b"]))(window), infer_of(halved(graph, ["b"]))(window)
    assert np.array_equal(exact, exact.astype(np.float16))
    assert not np.array_equal(came, came.astype(np.float16))


def test_fp16_of_the_network(source):
    graph, windows, found = source
    made = halved(graph, in_float(graph, found))
    kinds = [t.data_type for t in made.graph.initializer if t.name.endswith("weight")]
    assert kinds.count(TensorProto.FLOAT16) == 22
    assert kinds.count(TensorProto.FLOAT) == 1  # the last layer
    assert [v.type.tensor_type.elem_type for v in (*made.graph.input, *made.graph.output)] == [TensorProto.FLOAT] * 2
    fp32, came = infer_of(graph)(windows[0]), infer_of(made)(windows[0])
    exact = infer_of(rounded(graph, in_float(graph, found)))(windows[0])
    errors = [np.abs(answer - fp32).max() / np.ptp(fp32) for answer in (came, exact)]
    assert 1e-6 < errors[0] <= errors[1] < 1e-2


def test_a_tail_cuts_off_the_rarest_values():
    graph = by_hand(1.0, 1.0)
    found = Spread.of(
        graph, [np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4), np.full((1, 1, 4, 4), 99, np.float32)]
    )
    assert found.ranges()["image"] == (0, 99)
    assert found.ranges(0.5)["image"] == (57, 57)  # the median of 0..15 and sixteen times 99
    assert found.samples["mid"].tolist() == [*range(16), *[99] * 16]


def test_logits_are_not_rounded_to_8_bits():
    """A range of 0 to 10200 has steps of 40 in 8 bits: logits of 100 would become 120, and tie with others there."""
    graph = by_hand(1.0, 1.0)
    made = quantised(graph, {"image": (0, 255), "mid": (0, 255), "logits": (0, 10200)}, reduce_range=False)
    assert infer_of(made)(np.full((1, 1, 4, 4), 100.2, np.float32)).max() == 100


def chosen(effects, together=None, tails=None):
    """What is kept where each layer in float takes its effect off a drop of one point."""
    made = []

    def make(tail, keep):
        made.append(keep)
        return tail, keep

    def measure(graph):
        tail, keep = graph
        return (together or {}).get(keep, 1 - sum(effects[name] for name in keep)) + (tails or {}).get(tail, 0)

    return choose([(name,) for name in effects], make, measure, GOAL), made[len(TAILS) :]


def test_no_layer_is_measured_where_all_in_int8_reaches_the_goal():
    assert chosen({"a": 0.1}, together={(): 0.2}) == ((TAILS[0], ()), [])


def test_the_tail_that_loses_least_is_taken():
    assert chosen({"a": 0.1}, together={(): 0.2}, tails={TAILS[0]: 0.05, TAILS[2]: -0.1}) == ((TAILS[2], ()), [])


def test_the_worst_layers_go_back_until_the_goal_is_reached():
    (_, kept), made = chosen({"a": 0.1, "b": 0.5, "c": 0.3, "d": 0.2})
    assert kept == ("b", "c")
    assert made == [("a",), ("b",), ("c",), ("d",), ("b", "c")]


def test_a_layer_that_brings_nothing_on_top_of_the_others_stays_in_int8():
    (_, kept), _ = chosen({"a": 0.4, "b": 0.39, "c": 0.3}, together={("a", "b"): 0.6, ("a", "c"): 0.25})
    assert kept == ("a", "c")
    (_, kept), made = chosen(dict.fromkeys("abcdefgh", GAIN / 2))
    assert kept == ()
    assert len(made) == 8  # the first layer to go back was measured already


def test_the_goal_is_reached_where_one_activation_hurts():
    """Two maps in one tensor, one a thousand times as large: 8 bits leave nothing of the other, which makes the labels."""
    graph = by_hand(1.0, 1.0)
    weights = {"a.weight": [[1000.0], [1.0]], "b.weight": [[0.0, 1.0]], "c.weight": [[-1.0], [1.0]]}
    del graph.graph.node[:], graph.graph.initializer[:]
    for name, before, after in (("a", "image", "mid"), ("b", "mid", "late"), ("c", "late", "logits")):
        graph.graph.node.append(helper.make_node("Conv", [before, f"{name}.weight"], [after], name=name))
    for name, values in weights.items():
        graph.graph.initializer.append(numpy_helper.from_array(np.array(values, np.float32)[..., None, None], name))
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 16, 16]))
    graph.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2, 16, 16]))
    rng = np.random.default_rng(0)
    window = rng.choice([-0.8, 0.8], (1, 1, 16, 16)).astype(np.float32) + rng.uniform(-0.1, 0.1, (1, 1, 16, 16)).astype(
        "f"
    )
    found, labels = Spread.of(graph, [window]), infer_of(graph)(window)[0].argmax(axis=0).astype(np.uint8)

    def measure(made):
        cost = Cost(2)
        cost.add(labels, infer_of(made)(window)[0].argmax(axis=0).astype(np.uint8))
        return cost.off

    def make(tail, keep):
        return quantised(graph, found.ranges(tail), keep)

    tail, kept = choose(layers(graph), make, measure, GOAL)
    assert measure(make(tail, ())) > 10
    assert kept == ("a", "b")
    assert measure(make(tail, kept)) == 0
