"""Signatures made by the real tools: openssl makes the key, model_signing signs, seg-run verifies without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from seg_runtime import ModelError, Requirements, SegError, Segmenter
from seg_runtime.engine import Tuning
from seg_runtime.model.modelfile import ModelFile
from seg_runtime.model.trust.signature import check_signature

from tests.support.commands import ok, seg_edge, seg_run
from tests.support.images import picture
from tests.support.models import Made
from tests.support.trust import make_key, sign


@pytest.fixture(scope="module")
def signed(model: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signed model.onnx, ours.pub and other.pub."""
    folder = tmp_path_factory.mktemp("signed")
    shutil.copy(model.path, folder / "model.onnx")
    make_key(folder, "other")
    sign(folder / "model.onnx", make_key(folder, "ours"))
    return folder


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """A copy of that folder which a test may spoil."""
    return shutil.copytree(signed, tmp_path / "copy")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a signature must be verified without a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_signed_model_runs(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--model", signed / "model.onnx", "--provider", "cpu", "--require-signature", signed / "ours.pub"]
    result = ok(seg_run(*arguments, picture("a.png")))
    assert result.stdout.startswith("1 segmented")
    ok(seg_edge("self-test", *arguments))


def test_the_record_names_the_key(signed: Path) -> None:
    """A signed run differs from an unsigned one. The fingerprint is that of openssl."""
    words = ["openssl", "ec", "-pubin", "-in", signed / "ours.pub", "-outform", "DER"]
    der = subprocess.run(words, check=True, capture_output=True).stdout
    image = np.zeros((20, 20, 3), np.uint8)
    found = []
    for require in (Requirements(signature=signed / "ours.pub"), Requirements()):
        with Segmenter(signed / "model.onnx", provider="cpu", require=require) as segmenter:
            record = segmenter(image).record["model"]
        found.append((record["signature"], record["required"]))
    assert found == [
        (
            {"verified": True, "key_sha256": hashlib.sha256(der).hexdigest()},
            {"run": ["signature"], "machine": []},
        ),
        ({"verified": False, "key_sha256": ""}, {"run": [], "machine": []}),
    ]


def test_another_key_is_refused(signed: Path) -> None:
    with pytest.raises(ModelError, match=r"not a valid signature.*other.pub.*Get the model and its signature again"):
        Segmenter(signed / "model.onnx", provider="cpu", require=Requirements(signature=signed / "other.pub"))


def test_without_a_signature_the_command_to_sign_is_named(copy: Path) -> None:
    (copy / "model.onnx.sig").unlink()
    with pytest.raises(ModelError, match=r"no signature: model.onnx.sig.*Sign it: model_signing sign key model.onnx"):
        Segmenter(copy / "model.onnx", provider="cpu", require=Requirements(signature=copy / "ours.pub"))


def test_another_file_with_a_right_digest_is_refused(copy: Path, make_model: object) -> None:
    other = make_model(seed=2)  # type: ignore[operator]
    shutil.copy(other.path, copy / "model.onnx")
    result = seg_edge("self-test", "--model", copy / "model.onnx", "--require-signature", copy / "ours.pub")
    assert result.exit_code == 1
    assert "not a valid signature" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_what_counts_are_the_bytes_in_memory(copy: Path, make_model: object) -> None:
    """The file on disk is exchanged for the signed one after another one was read."""
    other = make_model(seed=2)  # type: ignore[operator]
    genuine = (copy / "model.onnx").read_bytes()
    shutil.copy(other.path, copy / "model.onnx")
    reading = ModelFile(copy / "model.onnx")
    content = reading.take()
    (copy / "model.onnx").write_bytes(genuine)
    with pytest.raises(ModelError, match=f"signs a file with the SHA-256 .*{content.sha256}, the digest of"):
        check_signature(copy / "model.onnx", content.sha256, copy / "ours.pub")


def test_a_statement_exchanged_inside_the_signature_is_refused(copy: Path, make_model: object) -> None:
    other = make_model(seed=2)  # type: ignore[operator]
    place = copy / "model.onnx.sig"
    bundle = json.loads(place.read_bytes())
    shutil.copy(other.path, copy / "model.onnx")
    theirs = json.loads(sign(copy / "model.onnx", copy / "other.pub").read_bytes())
    bundle["dsseEnvelope"]["payload"] = theirs["dsseEnvelope"]["payload"]
    place.write_text(json.dumps(bundle))
    assert b"sha256" in base64.b64decode(bundle["dsseEnvelope"]["payload"])
    with pytest.raises(ModelError, match="not a valid signature"):
        Segmenter(copy / "model.onnx", provider="cpu", require=Requirements(signature=copy / "ours.pub"))


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]", b'{"dsseEnvelope": {}}'])
def test_garbage_is_no_signature(copy: Path, content: bytes) -> None:
    (copy / "model.onnx.sig").write_bytes(content)
    with pytest.raises(ModelError, match="not a valid signature"):
        Segmenter(copy / "model.onnx", provider="cpu", require=Requirements(signature=copy / "ours.pub"))


@pytest.mark.parametrize(("content", "word"), [(None, "cannot be read"), (b"no key", "not a valid signature")])
def test_a_key_that_is_none(copy: Path, content: bytes | None, word: str) -> None:
    key = copy / "key.pub"
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(SegError, match=word):
        Segmenter(copy / "model.onnx", provider="cpu", require=Requirements(signature=key))


def test_content_without_a_file_has_no_signature(signed: Path) -> None:
    with pytest.raises(ModelError, match="has no signature"):
        Segmenter(
            (signed / "model.onnx").read_bytes(), provider="cpu", require=Requirements(signature=signed / "ours.pub")
        )


def test_the_missing_extra_is_named(signed: Path, tmp_path: Path) -> None:
    (tmp_path / "model_signing.py").write_text("raise ImportError('not here')")
    code = "import sys; from seg_runtime.cli.selftest import main; main(sys.argv[1:])"
    words = ["--model", signed / "model.onnx", "--require-signature", signed / "ours.pub"]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "seg-edge[sign]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_must_be_signed_takes_no_cache(copy: Path, tmp_path: Path) -> None:
    tuning = Tuning(cache=tmp_path / "cache")
    Segmenter(copy / "model.onnx", provider="cpu", require=Requirements(signature=copy / "ours.pub"), tuning=tuning)
    assert not (tmp_path / "cache").exists()
    Segmenter(copy / "model.onnx", provider="cpu", tuning=tuning)
    assert (tmp_path / "cache").exists()


def test_every_one_of_several_files_must_be_signed_before_anything_is_done(copy: Path, model: Made) -> None:
    key = copy / "ours.pub"
    with pytest.raises(ModelError, match="signature"):
        Segmenter([copy / "model.onnx", model.path], provider="cpu", require=Requirements(signature=key))
    Segmenter([copy / "model.onnx", copy / "model.onnx"], provider="cpu", require=Requirements(signature=key))
