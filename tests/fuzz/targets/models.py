"""Model files, their contract and golden samples, and records."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from seg_export.graph import stamped
from seg_runtime.answers import answer_of
from seg_runtime.batch.records import EarlierResults, read_record
from seg_runtime.model import (
    GOLDEN_KEY,
    ChannelFile,
    ClassInfo,
    Code,
    Contract,
    Golden,
    Intensity,
    ModelFile,
    OutputInfo,
    Pixels,
    Sample,
    Voxels,
    sealed,
)
from seg_runtime.model.digest import LENGTH

from tests.fuzz.target import Seed, Target, in_folder
from tests.support.contracts import contract

_SITES = (
    ClassInfo("background", (0, 0, 0)),
    ClassInfo("liver", (1, 2, 3), Code("123037004", "SCT", "Anatomical"), Code("10200004", "SCT", "Liver")),
)


def _contracts() -> dict[str, Contract]:
    return {
        "plain": contract(channels=3),
        "codes": contract(classes=_SITES, intensity=Intensity("window", level=40.0, width=400.0)),
        "values": contract(channels=1, outputs=(OutputInfo("nuclei", 1.0, 2.0, 0.0, 9.0, "counts"),)),
        "files": contract(
            channels=2, channel_files=(ChannelFile("_a"), ChannelFile("_b", 2)),
            intensity=Intensity("standardize", (0.1, 0.2), (0.3, 0.4)),
        ),
        "voxels": contract((196,) * 3, (12,) * 3, channels=2, voxels=Voxels(0.7, ("occupied", "carbon")), stride=4),
        "host": contract(dtype="uint16", intensity=Intensity("zscore", std_floor=0.01), method="stretch"),
    }  # fmt: skip


def _read_contract(data: bytes) -> None:
    found = Contract.from_json(data)
    assert Contract.from_json(found.to_json()) == found
    answer_of(found)
    assert found.answer.maps > 0
    assert min(found.geometry.step) > 0


def _golden(how: Contract) -> Golden:
    pixels = Pixels(np.arange(4 * 3 * how.input.channels, dtype=np.uint8).reshape(4, 3, -1))
    labels = np.zeros((4, 3), np.uint8)
    places, logits = np.arange(5, dtype=np.int32), np.linspace(0, 1, 5, dtype=np.float32)
    return Golden((Sample(pixels, labels, labels > 0, places, logits, 0.0, 1.0),))


def _model(how: Contract) -> bytes:
    helper = onnx.helper
    size, left = how.geometry.input_shape[0], how.geometry.output_shape[0]
    image = helper.make_tensor_value_info("image", 1, [1, how.input.channels, size, size])
    logits = helper.make_tensor_value_info("logits", 1, [1, 2, left, left])
    node = helper.make_node("Identity", ["weight"], ["logits"])
    inner = helper.make_node("If", ["yes"], ["x"], then_branch=helper.make_graph([node], "then", [], [logits]),
                             else_branch=helper.make_graph([node], "else", [], [logits]))  # fmt: skip
    weights = [helper.make_tensor("weight", 1, [2, 2], [0.0] * 4), helper.make_tensor("yes", 9, [], [True])]
    graph = helper.make_graph([node, inner], "g", [image], [logits], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return stamped(proto, how, _golden(how).to_text())


def _read_model(data: bytes) -> None:
    content = ModelFile(data).take()
    if GOLDEN_KEY in content.onnx.metadata:
        Golden.from_text(content.onnx.metadata[GOLDEN_KEY], content.contract)
    assert content.contract


def _members(text: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return base64.b64encode(file.getvalue())


def _info(content: bytes) -> bytes:
    file = io.BytesIO()
    np.save(file, np.frombuffer(content, np.uint8))
    return file.getvalue()


def _golden_seeds() -> Mapping[str, Seed]:
    members = _members(_golden(contract()).to_text())
    whole = base64.b64decode(_zipped(members))
    info = bytes(np.load(io.BytesIO(members["info.npy"])))
    return {
        "archive": Seed(whole, base64.b64encode),
        "info": Seed(info, lambda content: _zipped({**members, "info.npy": _info(content)})),
        **{
            name: Seed(members[name], lambda content, name=name: _zipped({**members, name: content}))  # type: ignore[misc]
            for name in members
        },
    }


def _read_record(path: Path) -> None:
    record = read_record(path)
    results = EarlierResults()
    assert results.is_record(path) in (True, False)
    assert (path.with_name("a_mask.png") in results) == ("a_mask.png" in (record or {}).get("outputs", {}).values())


_RECORD = {
    "complete": True, "input": {"name": "a.png", "sha256": "0" * 64, "pages": 1},
    "model": {"sha256": "1" * 64, "tta": False}, "provider": {"name": "cpu", "fast_math": False},
    "outputs": {"mask": "a_mask.png", "probabilities_npy": "a_probabilities.npy"}, "warnings": [], "ms": {"decode": 1.5},
}  # fmt: skip

TARGETS = {
    "contract": Target(
        _read_contract, lambda: {name: Seed(how.to_json().encode()) for name, how in _contracts().items()}
    ),
    "model": Target(
        _read_model,
        lambda: {name: Seed(_model(_contracts()[name])[:-LENGTH], sealed) for name in ("plain", "codes")},
    ),
    "golden": Target(lambda data: Golden.from_text(data, contract()), _golden_seeds),
    "record": Target(in_folder(_read_record, "a.json"), lambda: {"record": Seed(json.dumps(_RECORD).encode())}),
}
