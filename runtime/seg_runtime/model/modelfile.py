"""A model file on its way into memory: read, looked through and digested by a thread of its own.

Reading and digesting 124 MB leave Python's lock alone, so that the imports of a starting process go on beside them.
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
"""Of a file: device, inode, size, times of the last change of content and of anything. Any writer changes it."""


@dataclass(frozen=True)
class Content:
    """A model file that holds what a file of seg-export holds."""

    name: str
    path: Path | None
    """None of a content that came without a file."""
    data: bytes
    sha256: str
    """Of the whole file."""
    onnx: OnnxFile
    stamp: Stamp | None = None
    """Of the file before it was read; None of what is no regular file."""

    @cached_property
    def contract(self) -> Contract:
        """What the file's metadata holds, parsed once.

        Raises:
            ContractError: one that this version cannot follow.
        """
        return Contract.from_json(self.onnx.metadata[METADATA_KEY])

    def check_signed(self, public_key: Path) -> None:
        """Refuse a model that the file beside it does not sign with this key; see `signature.py`.

        Raises:
            ModelError: no signature, that of another file, or a model without a file.
        """
        if self.path is None:
            raise ModelError("a model without a file has no signature", "a path", "leave out require_signature")
        from .signature import check_signature

        check_signature(self.path, self.sha256, public_key)


class ModelFile:
    """The content of a model file, begun to be read when this is made.

    >>> ModelFile(b"no model").take()
    Traceback (most recent call last):
    seg_runtime.support.errors.ModelError: model is no ONNX model, or cut short or damaged (wire type 6 at byte 1); ...
    """

    def __init__(self, model: str | Path | bytes) -> None:
        """Begin to read.

        Args:
            model: path of an ONNX file, or its content.
        """
        self._outcome: Content | BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(model,), daemon=True)
        self._thread.start()

    def take(self) -> Content:
        """The content, once: who takes it decides how long it stays in memory.

        Raises:
            ModelError: the file cannot be read, is no ONNX file, damaged, or outside the limits of `onnxfile`.
            ContractError: the file carries no contract.
        """
        self._thread.join()
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, Content):
            return outcome
        raise outcome or SegError("the content of this ModelFile was taken before", "", "make another one")

    def _read(self, model: str | Path | bytes) -> None:
        try:
            self._outcome = _content(model)
        except BaseException as error:  # told by take()
            self._outcome = error


def stamp(path: Path) -> Stamp | None:
    """The stamp of a file as it is now, None of what is no regular file. Raises OSError where it is not there."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _content(model: str | Path | bytes) -> Content:
    path = None if isinstance(model, bytes) else Path(model)
    name = "model" if path is None else str(path)
    before = None
    if path is not None:
        with contextlib.suppress(OSError):  # told when it is read
            before = stamp(path)
    data = model if isinstance(model, bytes) else _bytes(Path(model))
    found = OnnxFile.scan(data, name)
    found.check(name)
    if METADATA_KEY not in found.metadata:
        problem = f"{name} carries no contract"
        raise ContractError(problem, "a file made by seg-export", "export the model with seg-export")
    return Content(name, path, data, verified_sha256(data, name), found, before)


def _bytes(path: Path) -> bytes:
    fix = "name one with --model or $SEG_MODEL, or make one with seg-export"
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ModelError(f"model {path} has {size} bytes", f"at most {MAX_BYTES}", fix)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"model {path} does not exist", "an ONNX file made by seg-export", fix) from error
    except OSError as error:
        raise ModelError(
            f"model {path} cannot be read ({error.strerror})", "an ONNX file made by seg-export", fix
        ) from error
    if path.suffix.lower() in (".pt", ".pth"):
        raise ModelError(
            f"{path} is a torch checkpoint", "an ONNX file", f"seg-export {path} {path.with_suffix('.onnx')}"
        )
    if not data:
        raise ModelError(f"model {path} is empty", "an ONNX file made by seg-export", "copy or export it again")
    return data
