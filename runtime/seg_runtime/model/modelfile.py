"""Read, check and hash a model file in a separate thread.

Reading and hashing (124 MB for the paper's network) release the GIL, so that other imports continue meanwhile.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..support import ContractError, ModelError, SegError, open_file
from .contract import METADATA_KEY, Contract
from .digest import verified_sha256
from .onnxfile import MAX_BYTES, OnnxFile

Stamp = tuple[int, ...]
"""Device, inode, size, mtime and ctime of a file. Every write to the file changes it."""
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

    @cached_property
    def contract(self) -> Contract:
        """The contract in the file's metadata, parsed once.

        Raises:
            ContractError: this version cannot use the contract.
        """
        return Contract.from_json(self.onnx.metadata[METADATA_KEY])

    def check_signed(self, public_key: Path) -> None:
        """Check the signature of the model with a public key; see `signature.py`.

        Raises:
            ModelError: the model has no valid signature, or was passed as bytes.
        """
        if self.path is None:
            problem = "a model that is passed as bytes has no signature"
            raise ModelError(problem, "", "pass the path of the file, or leave out require_signature")
        from .signature import check_signature

        check_signature(self.path, self.sha256, public_key)


class ModelFile:
    """The content of a model file. Reading starts when the object is created.

    >>> ModelFile(b"no model").take()
    Traceback (most recent call last):
    seg_runtime.support.errors.ModelError: model is not an ONNX model, or it is truncated or damaged (wire type 6 ...
    """

    def __init__(self, model: str | Path | bytes) -> None:
        """Start to read.

        Args:
            model: path of an ONNX file, or its content.
        """
        self._outcome: Content | BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(model,), daemon=True)
        self._thread.start()

    def take(self) -> Content:
        """Return the content. This works once, so that the caller decides how long the content stays in memory.

        Raises:
            ModelError: the file cannot be read, is not an ONNX file, is damaged or exceeds the limits of `onnxfile`.
            ContractError: the file has no contract.
        """
        self._thread.join()
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, Content):
            return outcome
        raise outcome or SegError("the content of this ModelFile was already taken", "", "create a new one")

    def _read(self, model: str | Path | bytes) -> None:
        try:
            self._outcome = _content(model)
        except BaseException as error:  # raised by take()
            self._outcome = error


def _content(model: str | Path | bytes) -> Content:
    path = None if isinstance(model, bytes) else Path(model)
    name = "model" if path is None else str(path)
    file, data = (None, model) if isinstance(model, bytes) else _opened(Path(model))
    found = OnnxFile.scan(data, name)
    found.check(name)
    if METADATA_KEY not in found.metadata:
        raise ContractError(f"{name} has no contract", "a file made by seg-export", "export the model with seg-export")
    return Content(name, path, data, verified_sha256(data, name), found, file)


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
    if path.suffix.lower() in (".pt", ".pth"):
        advice = f"export it: seg-export {path} {path.with_suffix('.onnx')}"
        raise ModelError(f"{path} is a torch checkpoint", "an ONNX file", advice)
    if not data:
        raise ModelError(f"model {path} is empty", expected, "copy or export it again")
    return file, data
