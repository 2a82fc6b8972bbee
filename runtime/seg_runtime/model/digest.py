"""The digest in a model file: its last bytes are a metadata entry with the SHA-256 of all bytes before it.

Protobuf allows fields in any order, so the entry can be appended to a serialized model, which remains an ordinary ONNX
file. A copy that is incomplete or damaged is thereby detected. The digest does not protect against deliberate changes,
because anyone can write a new one; a signature does.
"""

from __future__ import annotations

import hashlib

from ..support import ModelError

DIGEST_KEY = "seg_edge.sha256"


def sealed(content: bytes) -> bytes:
    """Append the digest to a serialized model."""
    return content + _entry(hashlib.sha256(content).hexdigest())


def verified_sha256(data: bytes, name: str) -> str:
    """Verify the digest in a model file and return the SHA-256 of the whole file, in one pass.

    Raises:
        ModelError: the file does not end with a digest, or the digest does not match.
    """
    end = len(data) - LENGTH
    running = hashlib.sha256(memoryview(data)[: max(0, end)])
    computed = running.hexdigest()
    last = data[max(0, end) :]
    if last != _entry(computed):
        kept = last[-64:].decode("ascii", "replace")
        if last != _entry(kept):
            problem = f"{name} does not end with its own digest"
            raise ModelError(problem, "a complete file made by seg-export", "copy or export it again")
        problem = f"{name} was changed or damaged: the SHA-256 of its content is {computed}"
        raise ModelError(problem, f"{kept}, which is stored in the file", "copy or export it again")
    running.update(last)
    return running.hexdigest()


def _entry(digest: str) -> bytes:
    """Return `ModelProto.metadata_props` (field 14) with `key` (1) and `value` (2), each shorter than 128 bytes."""
    entry = b"".join(
        bytes([tag, len(text)]) + text for tag, text in ((0x0A, DIGEST_KEY.encode()), (0x12, digest.encode()))
    )
    return bytes([0x72, len(entry)]) + entry


LENGTH = len(_entry("0" * 64))
