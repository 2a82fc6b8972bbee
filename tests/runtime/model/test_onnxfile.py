"""The reader of ONNX files against the onnx package, hand-made bytes, and damage of every kind."""

from __future__ import annotations

import random
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from seg_export.graph import IR_VERSION, OPSET
from seg_runtime.model import onnxfile
from seg_runtime.model.onnxfile import IR_VERSIONS, MAX_DEPTH, OPSETS, OnnxFile
from seg_runtime.support.errors import ModelError


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])


def looped(inner: onnx.TensorProto | None = None) -> onnx.ModelProto:
    """A model with a Loop, a function, a sparse weight and metadata: 1 + 2 + 1 nodes."""
    weight = inner or helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "w"], ["next"]),
            helper.make_node("Constant", [], ["go"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            value("v"),
        ],
        [helper.make_tensor_value_info("go", TensorProto.BOOL, []), value("next")],
        [weight],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["y"], body=body)], "g", [value("x")], [value("y")]
    )
    dense, places = helper.make_tensor("s", 1, [1], [1.0]), helper.make_tensor("p", 7, [1], [0])
    graph.sparse_initializer.append(helper.make_sparse_tensor(dense, places, [4]))
    extra = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, functions=[extra])
    helper.set_model_props(proto, {"one": "1", "zwei": "ü"})
    return proto


def elsewhere() -> onnx.TensorProto:
    tensor = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def test_everything_is_found() -> None:
    found = OnnxFile.scan(looped().SerializeToString(), "m")
    assert (found.ir_version, found.opsets, found.nodes, found.graphs) == (9, {"": 18}, 4, 2)
    assert found.operators == {("", "Loop"), ("", "Add"), ("", "Constant"), ("", "Relu")}
    assert not found.external
    assert {k: bytes(v).decode() for k, v in found.metadata.items()} == {"one": "1", "zwei": "ü"}
    found.check("m")


def test_a_real_model_agrees_with_the_onnx_package(model_file: Path) -> None:
    found, proto = OnnxFile.scan(model_file.read_bytes(), "m"), onnx.load(model_file)
    assert found.nodes == len(proto.graph.node)
    assert found.operators == {(n.domain, n.op_type) for n in proto.graph.node}
    assert {k: bytes(v).decode() for k, v in found.metadata.items()} == {p.key: p.value for p in proto.metadata_props}
    found.check("m")


def test_what_is_exported_lies_within_the_limits() -> None:
    assert IR_VERSIONS[0] <= IR_VERSION <= IR_VERSIONS[1]
    assert OPSETS[0] <= OPSET <= OPSETS[1]


def external_models() -> dict[str, onnx.ModelProto]:
    """Each place where a tensor may hide."""
    plain, top, attribute, function, sparse = (looped() for _ in range(5))
    top.graph.initializer.append(elsewhere())
    attribute.graph.node[0].attribute.append(helper.make_attribute("more", [elsewhere()]))
    function.functions[0].node[0].attribute.append(helper.make_attribute("value", elsewhere()))
    sparse.graph.sparse_initializer[0].values.CopyFrom(elsewhere())
    trained = looped()
    trained.training_info.add().algorithm.initializer.append(elsewhere())
    flag = looped()
    flag.graph.initializer.append(TensorProto(data_location=TensorProto.EXTERNAL))
    entry = looped()
    entry.graph.initializer.add().external_data.add(key="location")
    named = looped()
    named.graph.name = "\x0a\x08location\x12"  # only a name
    return {
        "plain": plain, "named": named, "loop": looped(elsewhere()), "top": top, "attribute": attribute,
        "function": function, "sparse": sparse, "trained": trained, "flag": flag, "entry": entry,
    }  # fmt: skip


@pytest.mark.parametrize("where", external_models())
def test_external_data_is_found_wherever_it_hides(where: str) -> None:
    found = OnnxFile.scan(external_models()[where].SerializeToString(), "m")
    assert found.external == (where not in ("plain", "named"))
    if found.external:
        with pytest.raises(ModelError, match="stores weights in another file"):
            found.check("m")


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (OnnxFile(11, {"": 18}, 3, 1), r"IR version 11; expected 3 to 10. Upgrade"),
        (OnnxFile(1, {"": 18}, 3, 1), r"IR version 1; expected 3 to 10. Export it again"),
        (OnnxFile(9, {"": 22}, 3, 1), r"opset 22; expected 7 to 21. Upgrade"),
        (OnnxFile(9, {"com.acme": 18}, 3, 1), r"opset 0; expected 7 to 21"),
        (OnnxFile(9, {"": 18}, 20_001, 1), "20001 nodes; expected at most 20000"),
        (OnnxFile(9, {"": 18}, 3, 1, {("com.acme", "Gelu"), ("", "Relu")}), r"\(com.acme.Gelu\)"),
    ],
)
def test_limits(odd: OnnxFile, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        odd.check("m")


def test_two_entries_of_one_key_are_refused() -> None:
    proto = looped()
    proto.metadata_props.add(key="one", value="2")
    with pytest.raises(ModelError, match="duplicate metadata entry 'one'"):
        OnnxFile.scan(proto.SerializeToString(), "m")


def survives(data: bytes) -> OnnxFile | None:
    """A result or a ModelError; anything else fails the test."""
    try:
        found = OnnxFile.scan(data, "m")
        found.check("m")
    except ModelError:
        return None
    return found


def test_cut_at_every_byte() -> None:
    content = looped().SerializeToString()
    whole = [length for length in range(len(content)) if survives(content[:length])]
    assert len(whole) < 8  # only where one of the last fields ends


def test_every_byte_changed_and_random_bytes() -> None:
    """No damage ends in anything but a result or a ModelError, and both happen."""
    rng, content = random.Random(0), looped().SerializeToString()
    ends = set()
    for at in range(len(content)):
        for byte in (0, 0x7F, 0x80, 0xFF, content[at] ^ 1 << rng.randrange(8)):
            ends.add(survives(content[:at] + bytes([byte]) + content[at + 1 :]) is None)
    assert ends == {True, False}
    for _ in range(2000):
        ends.add(survives(rng.randbytes(rng.randrange(200))) is None)
        start = rng.randrange(len(content))
        ends.add(survives(content[:start] + rng.randbytes(8) + content[start:]) is None)


def test_a_nest_of_messages_ends() -> None:
    """Graph in attribute in node in graph …, a megabyte deep for a reader that recursed."""
    data = b""
    while len(data) < 20_000:
        for tag in (0x32, 0x2A, 0x0A):  # attribute.g, node.attribute, graph.node
            size, length = len(data), b""
            while size > 0x7F:
                length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
            data = bytes([tag]) + length + bytes([size]) + data
    size = len(data)
    head = bytes([0x3A, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    with pytest.raises(ModelError, match=f"more than {MAX_DEPTH} nested messages"):
        OnnxFile.scan(head + data, "m")


def test_a_flood_of_fields_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxfile, "MAX_FIELDS", 1000)
    with pytest.raises(ModelError, match="more than 1000 fields"):
        OnnxFile.scan(b"\x28\x00" * 5000, "m")
