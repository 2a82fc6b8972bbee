"""The content of a model file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..support import ContractError, ModelError, open_file
from .contract import METADATA_KEY, Contract
from .digest import verified_sha256
from .onnxfile import MAX_BYTES, OnnxFile

Stamp = tuple[int, ...]
"""Device, inode, size, mtime and ctime of a file. Every write to the file changes it."""
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # protocol 2 and the magic number of torch.save
_CHECKPOINT = b"seg-edge checkpoint"  # in the pickle at the beginning of the archive
_HEAD_BYTES = 1 << 20
_DESCRIPTORS = Path("/proc/self/fd")  # of Linux: names of open files, whatever becomes of their paths


class OpenModel:
    """A model file that stays open, so that ONNX Runtime reads the file that was hashed, not one put in its place.

    Attributes:
        handle: descriptor of the file.
        stamp: its stamp before it was read.
        path: a path that leads to the open file on Linux, else that of the file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file. Raises OSError."""
        self.handle = open_file(path)
        self.stamp = self.current
        self.path = _DESCRIPTORS / str(self.handle) if _DESCRIPTORS.exists() else path

    def __del__(self) -> None:
        """Close the file."""
        if hasattr(self, "handle"):
            os.close(self.handle)

    @property
    def current(self) -> Stamp:
        """The stamp of the file now."""
        state = os.fstat(self.handle)
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns

    def read(self) -> bytes:
        """Read the whole file."""
        with os.fdopen(os.dup(self.handle), "rb") as file:
            file.seek(0)
            return file.read()


@dataclass(frozen=True)
class Trust:
    """What a model was checked for before it runs.

    Attributes:
        run: names of the fields of `Requirements` that the run sets.
        machine: names of those that the policy of the machine sets.
        key_sha256: SHA-256 of the public key that verified the signature; empty if no signature is required.
    """

    run: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    key_sha256: str = ""

    @property
    def exact(self) -> bool:
        """Whether only the bytes that were checked may be loaded, and not a cached form of them."""
        return not {"signature", "sha256"}.isdisjoint((*self.run, *self.machine))


@dataclass(frozen=True)
class Content:
    """The content of a model file made by seg-export."""

    name: str
    path: Path | None
    """None for a model that was passed as bytes."""
    data: bytes
    sha256: str
    """Digest of the whole file."""
    onnx: OnnxFile
    file: OpenModel | None = None
    """The open file; None for a model that was passed as bytes."""
    trust: Trust = Trust()
    """What it was checked for."""

    @cached_property
    def contract(self) -> Contract:
        """The contract in the file's metadata, parsed once.

        Raises:
            ContractError: this version cannot use the contract.
        """
        return Contract.from_json(self.onnx.metadata[METADATA_KEY])


def read_content(model: str | Path | bytes) -> Content:
    """Read a model file and check that it is one and is undamaged; `ModelFile` also checks whether it may run.

    Raises:
        ModelError: see `ModelFile.take`.
        ContractError: the file has no contract.
    """
    path = None if isinstance(model, bytes) else Path(model)
    name = "model" if path is None else str(path)
    file, data = (None, model) if isinstance(model, bytes) else _opened(Path(model))
    found = OnnxFile.scan(data, name)
    found.check(name)
    if METADATA_KEY not in found.metadata:
        raise ContractError(f"{name} has no contract", "a file made by seg-export", "export the model with seg-export")
    return Content(name, path, data, verified_sha256(data, name), found, file)


def _is_torch(data: bytes) -> bool:
    """Whether this is a file of PyTorch: a ZIP archive with a pickle, or before version 1.6 a pickle."""
    return data.startswith(_OLD_TORCH) or (data.startswith(b"PK\x03\x04") and b"data.pkl" in data[:_HEAD_BYTES])


def _opened(path: Path) -> tuple[OpenModel, bytes]:
    expected = "an ONNX file made by seg-export"
    advice = "name another file with --model or $SEG_MODEL, or create one with seg-export"
    try:
        file = OpenModel(path)
        if (size := os.fstat(file.handle).st_size) > MAX_BYTES:
            raise ModelError(f"model {path} has {size} bytes", f"at most {MAX_BYTES}", advice)
        data = file.read()
    except FileNotFoundError as error:
        raise ModelError(f"model {path} does not exist", expected, advice) from error
    except OSError as error:
        raise ModelError(f"model {path} cannot be read ({error.strerror})", expected, advice) from error
    if _is_torch(data) or path.suffix.lower() in (".pt", ".pth"):
        advice = f"export it: seg-export {path} {path.with_suffix('.onnx')}"
        if _is_torch(data) and _CHECKPOINT not in data[:_HEAD_BYTES]:
            advice = f"import it first: seg-edge import {path} DATA -o model.pt, then seg-export model.pt model.onnx"
        raise ModelError(f"{path} is a torch checkpoint", "an ONNX file", advice)
    if not data:
        raise ModelError(f"model {path} is empty", expected, "copy or export it again")
    return file, data
