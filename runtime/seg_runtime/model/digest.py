"""The model file's own digest: its last bytes are one metadata entry that holds the sha256 of all bytes before it.

Protobuf allows fields in any order, so that the entry can be appended to a serialised model, which stays one ordinary
ONNX file. Every copy is thereby complete and unchanged, or refused; who changed it on purpose could write a new digest,
against whom a signature helps.
"""

from __future__ import annotations

import hashlib

from ..support import ModelError

DIGEST_KEY = "seg_edge.sha256"


def sealed(content: bytes) -> bytes:
    """A serialised model with the digest of its bytes at its end."""
    return content + _entry(hashlib.sha256(content).hexdigest())


def verified_sha256(data: bytes, name: str) -> str:
    """The sha256 of a whole model file, after its own digest was found right; both in one pass.

    Raises:
        ModelError: no digest at the end, or that of other bytes.
    """
    end = len(data) - LENGTH
    running = hashlib.sha256(memoryview(data)[: max(0, end)])
    computed = running.hexdigest()
    last = data[max(0, end) :]
    if last != _entry(computed):
        kept = last[-64:].decode("ascii", "replace")
        if last != _entry(kept):
            problem = f"{name} does not end with its own digest"
            raise ModelError(problem, "a whole file made by seg-export", "copy or export it again")
        problem = f"{name} was changed or damaged: its content has the sha256 {computed}"
        raise ModelError(problem, f"{kept} as the file itself says", "copy or export it again")
    running.update(last)
    return running.hexdigest()


def _entry(digest: str) -> bytes:
    """`ModelProto.metadata_props` (field 14) with `key` (1) and `value` (2), all of them shorter than 128 bytes."""
    entry = b"".join(
        bytes([tag, len(text)]) + text for tag, text in ((0x0A, DIGEST_KEY.encode()), (0x12, digest.encode()))
    )
    return bytes([0x72, len(entry)]) + entry


LENGTH = len(_entry("0" * 64))
