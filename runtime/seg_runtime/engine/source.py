"""The model that ONNX Runtime is given: a file that stays as it was digested, or the very bytes that were signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..model import Content, Stamp, stamp
from ..support import ModelError


@dataclass(frozen=True)
class ModelSource:
    """Where ONNX Runtime takes a model from that was read and digested.

    Attributes:
        name: for errors.
        model: path of the file, or its content.
        stamp: of the file when it was digested; None of a content.
        signed: whether nothing but these bytes will do.
    """

    name: str
    model: bytes | Path
    stamp: Stamp | None
    signed: bool

    @classmethod
    def of(cls, content: Content, signed: bool) -> ModelSource:
        """The file itself, which costs no copy of its bytes in memory; the bytes where there is none, or where they were signed.

        Args:
            content: of the model.
            signed: nothing but the bytes that were signed will do.
        """
        if signed or content.stamp is None or content.path is None or not _named_for_onnxruntime(content.path):
            return cls(content.name, content.data, None, signed)
        return cls(content.name, content.path, content.stamp, signed)

    def check_unchanged(self) -> None:
        """Refuse a file that was written to after it was digested; ONNX Runtime may have read something else."""
        if self.stamp is None or not isinstance(self.model, Path):
            return
        try:
            now = stamp(self.model)
        except OSError:
            now = None
        if now != self.stamp:
            raise ModelError(f"{self.name} changed while it was loaded", "a file that stays", "run it again")


def _named_for_onnxruntime(path: Path) -> bool:
    """Whether ONNX Runtime can open a path: it takes UTF-8 only, and what ends in .ort for another format."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return path.suffix.lower() != ".ort"
