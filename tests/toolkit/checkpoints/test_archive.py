"""Files that would cost PyTorch hours or gigabytes are refused before it reads them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from seg_runtime.support.errors import ModelError
from seg_toolkit.checkpoints.foreign import read_state


def saved(**options: bool) -> bytes:
    file = io.BytesIO()
    torch.save({"a.weight": torch.ones(3)}, file, **options)
    return file.getvalue()


def repacked(content: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """The same archive, packed in another way, with some members replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, members.get(Path(name).stem, old.read(name)))
    return out.getvalue()


NAMED = b"\x80\x02cmodule\n" + b"a" * 2000 + b"\n."  # a pickle of one Python object


@pytest.mark.parametrize("old", [False, True])
def test_files_of_any_pytorch_are_read(tmp_path: Path, old: bool) -> None:
    (tmp_path / "a.pt").write_bytes(saved(_use_new_zipfile_serialization=not old))
    assert read_state(tmp_path / "a.pt")["a.weight"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (repacked(saved(), zipfile.ZIP_DEFLATED), "it is compressed"),
        (repacked(saved(), data=NAMED), "it names an object of 2007 letters"),
        (repacked(saved(), data=NAMED.replace(b"a" * 2000, b"a")), "Python objects other than tensors"),
        (NAMED, "is not a PyTorch state dict"),
    ],
)
def test_what_pytorch_would_work_on_for_long_is_refused(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(ModelError, match=says) as caught:
        read_state(tmp_path / "a.pt")
    assert "weights_only" not in str(caught.value)
    assert "trust" not in str(caught.value)
