"""A signature says who made a model file; the digest inside it only says that no byte was lost on the way.

Made and checked by the package model-signing of the OpenSSF, with an elliptic key and without any network:

    openssl ecparam -name prime256v1 -genkey -noout -out key.pem && openssl ec -in key.pem -pubout -out key.pub
    model_signing sign key model.onnx --private_key key.pem --signature model.onnx.sig
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tempfile
from pathlib import Path

from ..support import ModelError, SegError

_HOW = "model_signing sign key {model} --private_key key.pem --signature {model}.sig"


def check_signature(model: Path, sha256: str, key: Path) -> None:
    """Refuse a model that the holder of a key did not sign.

    Args:
        model: its file; the signature lies beside it, with `.sig` added to its name.
        sha256: of the bytes that ONNX Runtime will be given, which may no longer be those on disk.
        key: PEM file with the public elliptic key.

    Raises:
        SegError: the extra is not installed, or the key cannot be read.
        ModelError: no signature, one of another key, or one of another file.
    """
    place = model.with_name(model.name + ".sig")
    wanted = f"one made with the key of {key}"
    try:
        signature = place.read_bytes()
    except OSError as error:
        problem = f"{model} has no signature {place.name} beside it ({error.strerror})"
        raise ModelError(problem, wanted, _HOW.format(model=model.name)) from error
    try:
        key.read_bytes()
    except OSError as error:
        problem = f"key {key} cannot be read ({error.strerror})"
        raise SegError(problem, "a PEM file with a public key", "check the path") from error
    try:
        signed = _signed_sha256(model, signature, key)
    except SegError:
        raise
    except Exception as error:  # model-signing and what lies below it raise their own kinds
        reason = str(error) or type(error).__name__
        problem = f"{place} is no right signature of {model.name} ({reason})"
        raise ModelError(problem, wanted, "get both again from whoever made the model") from error
    if signed != sha256:
        problem = f"{place} signs a file with the sha256 {signed}"
        raise ModelError(
            problem, f"{sha256}, which was read from {model}", "get both again from whoever made the model"
        )


def _signed_sha256(model: Path, signature: bytes, key: Path) -> str:
    """The digest that a genuine signature covers; what was verified is the very copy that is then read."""
    try:
        from model_signing import verifying
    except ImportError as error:
        problem = f"model-signing cannot be imported ({error})"
        raise SegError(problem, "the extra 'sign'", "pip install 'seg-edge[sign]'") from error
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        copy = Path(folder) / "signature"
        copy.write_bytes(signature)
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(model, copy)
    statement = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
    [resource] = statement["predicate"]["resources"]
    if resource["algorithm"] != "sha256":
        raise ValueError(f"made with {resource['algorithm']} instead of sha256")
    return str(resource["digest"])
