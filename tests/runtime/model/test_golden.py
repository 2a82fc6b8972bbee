"""Golden samples that are damaged inside their archive."""

from __future__ import annotations

import base64
import io
import zipfile

import numpy as np
import pytest
from seg_runtime import ModelError
from seg_runtime.model import Golden, Pixels, Sample

from tests.support.contracts import contract

CONTRACT = contract()


def golden() -> Golden:
    labels = np.zeros((2, 3), np.uint8)
    pixels = Pixels(np.arange(6, dtype=np.uint8).reshape(2, 3, 1))
    places, logits = np.arange(4, dtype=np.int32), np.linspace(0, 1, 4, dtype=np.float32)
    return Golden((Sample(pixels, labels, labels > 0, places, logits, 0.0, 1.0),))


def with_member(name: str, old: bytes, new: bytes) -> bytes:
    """The samples with some bytes of a member replaced; checksums are right."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(base64.b64decode(golden().to_text()))) as source,
        zipfile.ZipFile(out, "w") as target,
    ):
        for member in source.namelist():
            content = source.read(member)
            assert member != name or old in content
            target.writestr(member, content.replace(old, new) if member == name else content)
    return base64.b64encode(out.getvalue())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"'shape': (4,)", b"'shape': (,4)"),
        (b"'shape': (4,)", b"'shape': (4, "),
        (b"'shape': (4,)", b"'shape'\0 (4,)"),
        (b"'<f4'", b"'<x4'"),
        (b"'shape': (4,)", b"'shape': (5,)"),
        (b"'shape': (4,), }           ", b"'shape': (12884901888,), }"),
        (b"\x93NUMPY", b"\x93NUMPX"),
    ],
)
def test_a_damaged_array_is_refused(old: bytes, new: bytes) -> None:
    assert Golden.from_text(with_member("logits_0.npy", b"'shape'", b"'shape'"), CONTRACT).samples
    with pytest.raises(ModelError, match="golden samples cannot be read") as caught:
        Golden.from_text(with_member("logits_0.npy", old, new), CONTRACT)
    assert "allocate" not in str(caught.value)
