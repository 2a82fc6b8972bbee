"""Read, check and hash a model file in a separate thread.

Reading and hashing (124 MB for the paper's network) release the GIL, so that other imports continue meanwhile.
"""

from __future__ import annotations

import contextlib
import stat
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..support import ContractError, ModelError, SegError
from .contract import METADATA_KEY, Contract
from .digest import verified_sha256
from .onnxfile import MAX_BYTES, OnnxFile

Stamp = tuple[int, ...]
"""Device, inode, size, mtime and ctime of a file. Every write to the file changes it."""


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
    stamp: Stamp | None = None
    """Stamp of the file before it was read; None if it is not a regular file."""

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


def stamp(path: Path) -> Stamp | None:
    """Return the current stamp of a file, None if it is not a regular file. Raises OSError if it does not exist."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _content(model: str | Path | bytes) -> Content:
    path = None if isinstance(model, bytes) else Path(model)
    name = "model" if path is None else str(path)
    before = None
    if path is not None:
        with contextlib.suppress(OSError):  # reported when the file is read
            before = stamp(path)
    data = model if isinstance(model, bytes) else _bytes(Path(model))
    found = OnnxFile.scan(data, name)
    found.check(name)
    if METADATA_KEY not in found.metadata:
        raise ContractError(f"{name} has no contract", "a file made by seg-export", "export the model with seg-export")
    return Content(name, path, data, verified_sha256(data, name), found, before)


def _bytes(path: Path) -> bytes:
    expected = "an ONNX file made by seg-export"
    advice = "name another file with --model or $SEG_MODEL, or create one with seg-export"
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ModelError(f"model {path} has {size} bytes", f"at most {MAX_BYTES}", advice)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"model {path} does not exist", expected, advice) from error
    except OSError as error:
        raise ModelError(f"model {path} cannot be read ({error.strerror})", expected, advice) from error
    if path.suffix.lower() in (".pt", ".pth"):
        advice = f"export it: seg-export {path} {path.with_suffix('.onnx')}"
        raise ModelError(f"{path} is a torch checkpoint", "an ONNX file", advice)
    if not data:
        raise ModelError(f"model {path} is empty", expected, "copy or export it again")
    return data
