"""The digest at a model's end: checked against hashlib and the onnx package, and every damage seen."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
from seg_runtime import ModelError, Segmenter
from seg_runtime.engine.session import Session
from seg_runtime.model.digest import DIGEST_KEY, LENGTH, sealed, verified_sha256
from seg_runtime.model.onnxfile import OnnxFile

from tests.support.models import CPU


def test_the_session_keeps_the_sha256_of_the_whole_file(model_file: Path) -> None:
    whole = hashlib.sha256(model_file.read_bytes()).hexdigest()
    assert Session(model_file, CPU).sha256 == whole
    assert Segmenter(model_file, provider="cpu").model_sha256 == whole


def test_other_tools_read_the_file_and_find_the_digest(model_file: Path) -> None:
    proto, content = onnx.load(model_file), model_file.read_bytes()
    onnx.checker.check_model(proto, full_check=True)
    props = {p.key: p.value for p in proto.metadata_props}
    assert props[DIGEST_KEY] == hashlib.sha256(content[:-LENGTH]).hexdigest()
    assert list(props)[-1] == DIGEST_KEY
    assert bytes(OnnxFile.scan(content, "m").metadata[DIGEST_KEY]).decode() == props[DIGEST_KEY]


def test_a_changed_byte_is_told_with_both_digests(model_file: Path, tmp_path: Path) -> None:
    content = bytearray(model_file.read_bytes())
    kept = content[-64:].decode()
    content[len(content) // 2] ^= 1  # in the midst of the weights: no parser would see it
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content)
    came = hashlib.sha256(content[:-LENGTH]).hexdigest()
    with pytest.raises(
        ModelError, match=rf"damaged.onnx was changed.*{came}; expected {kept}.*Copy or export it again"
    ):
        Session(damaged, CPU)


@pytest.mark.parametrize("cut", [1, 64, LENGTH, LENGTH + 1])
def test_a_file_cut_short_is_refused(model_file: Path, cut: int) -> None:
    with pytest.raises(ModelError, match="Copy or export it again"):
        Session(model_file.read_bytes()[:-cut], CPU)


@pytest.mark.parametrize("appended", [b"\x00", b"\x28\x00"])
def test_nothing_may_follow_the_digest(model_file: Path, appended: bytes) -> None:
    with pytest.raises(ModelError, match="Copy or export it again"):
        Session(model_file.read_bytes() + appended, CPU)


def test_every_bit_of_a_small_content_counts() -> None:
    content = sealed(b"weights")
    assert verified_sha256(content, "m") == hashlib.sha256(content).hexdigest()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelError, match=r"damaged|digest"):
            verified_sha256(bytes(changed), "m")


@pytest.mark.parametrize("content", [b"", b"x", b"x" * (LENGTH - 1), b"\xff" * 200])
def test_what_has_no_digest(content: bytes) -> None:
    with pytest.raises(ModelError, match="does not end with its own digest"):
        verified_sha256(content, "m")
