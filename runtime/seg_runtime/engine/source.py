"""The model passed to ONNX Runtime: a file that must not change after it was hashed, or the signed bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..model import Content, Stamp, stamp
from ..support import ModelError


@dataclass(frozen=True)
class ModelSource:
    """A model that was read and hashed, in the form passed to ONNX Runtime.

    Attributes:
        name: name for errors.
        model: path of the file, or its content.
        stamp: stamp of the file when it was hashed; None for content.
        signed: whether only these exact bytes may be loaded.
    """

    name: str
    model: bytes | Path
    stamp: Stamp | None
    signed: bool

    @classmethod
    def of(cls, content: Content, signed: bool) -> ModelSource:
        """Return the path of the file, which saves a copy in memory, or its bytes if it has no path or is signed.

        Args:
            content: the model.
            signed: whether only the signed bytes may be loaded.
        """
        if signed or content.stamp is None or content.path is None or not _named_for_onnxruntime(content.path):
            return cls(content.name, content.data, None, signed)
        return cls(content.name, content.path, content.stamp, signed)

    def check_unchanged(self) -> None:
        """Raise ModelError if the file was changed after it was hashed, since ONNX Runtime may have read other
        bytes."""
        if self.stamp is None or not isinstance(self.model, Path):
            return
        try:
            now = stamp(self.model)
        except OSError:
            now = None
        if now != self.stamp:
            raise ModelError(f"{self.name} changed while it was loaded", "", "run it again")


def _named_for_onnxruntime(path: Path) -> bool:
    """Return whether ONNX Runtime can open a path: it must be UTF-8 and not end in .ort, which is another format."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return path.suffix.lower() != ".ort"
