"""Signatures of model files. A signature proves who made a file; the digest in the file only proves that it is
undamaged.

Signatures are made and checked with the package model-signing of the OpenSSF, with an elliptic-curve key and offline:

    openssl ecparam -name prime256v1 -genkey -noout -out key.pem && openssl ec -in key.pem -pubout -out key.pub
    model_signing sign key model.onnx --private_key key.pem --signature model.onnx.sig
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import tempfile
from pathlib import Path

from ...support import METADATA_BYTES, ModelError, SegError, parse_json, read_file

_HOW = "sign it: model_signing sign key {model} --private_key key.pem --signature {model}.sig"
_RENEW = "get the model and its signature again from the author"


def check_signature(model: Path, sha256: str, key: Path) -> str:
    """Check the signature of a model.

    Args:
        model: path of the model; the signature is in the same folder, with `.sig` appended to the name.
        sha256: digest of the bytes that ONNX Runtime will load, which may differ from those on disk by now.
        key: PEM file with the public elliptic-curve key.

    Returns:
        The fingerprint of the key: the SHA-256 of its DER form (SubjectPublicKeyInfo, RFC 5280).

    Raises:
        SegError: the extra is not installed, or the key cannot be read.
        ModelError: there is no signature, or it belongs to another key or another file.
    """
    place = model.with_name(model.name + ".sig")
    expected = f"a signature made with the private key that belongs to {key}"
    try:
        signature = read_file(place, METADATA_BYTES)
    except OSError as error:
        problem = f"{model} has no signature: {place.name} cannot be read ({error.strerror})"
        raise ModelError(problem, expected, _HOW.format(model=model.name)) from error
    try:
        pem = read_file(key, METADATA_BYTES)
    except OSError as error:
        problem = f"key {key} cannot be read ({error.strerror})"
        raise SegError(problem, "a PEM file with a public key", "check the path") from error
    if b"PRIVATE KEY" in pem:
        problem, advice = f"{key} is a private key", "pass the public one, and keep the private one in the laboratory"
        raise SegError(problem, "a PEM file with a public key", advice)
    try:
        signed, fingerprint = _verified(model, signature, pem)
    except SegError:
        raise
    except Exception as error:  # model-signing and its dependencies raise many classes
        reason = str(error) or type(error).__name__
        problem = f"{place} is not a valid signature of {model.name} ({reason})"
        raise ModelError(problem, expected, _RENEW) from error
    if signed != sha256:
        problem = f"{place} signs a file with the SHA-256 {signed}"
        raise ModelError(problem, f"{sha256}, the digest of {model}", _RENEW)
    return fingerprint


def _verified(model: Path, signature: bytes, pem: bytes) -> tuple[str, str]:
    """Verify a signature; return the digest that it covers and the fingerprint of the key.

    All steps use the same copy of the signature and of the key.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from model_signing import verifying
    except ImportError as error:
        problem = f"model-signing cannot be imported ({error})"
        raise SegError(problem, "", "install the extra 'sign': pip install 'seg-edge[sign]'") from error
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        copy, key = Path(folder) / "signature", Path(folder) / "key"
        copy.write_bytes(signature)
        key.write_bytes(pem)
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(model, copy)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    fingerprint = hashlib.sha256(serialization.load_pem_public_key(pem).public_bytes(*form)).hexdigest()
    statement = parse_json(base64.b64decode(parse_json(signature)["dsseEnvelope"]["payload"]))
    [resource] = statement["predicate"]["resources"]
    if resource["algorithm"] != "sha256":
        raise ValueError(f"it uses {resource['algorithm']} instead of sha256")
    return str(resource["digest"]), fingerprint
