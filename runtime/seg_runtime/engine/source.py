"""The model passed to ONNX Runtime: a file that must not change after it was hashed, or the signed bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..model import Content, OpenModel
from ..support import ModelError


@dataclass(frozen=True)
class ModelSource:
    """A model that was read and hashed, in the form passed to ONNX Runtime.

    Attributes:
        name: name for errors.
        model: path of the file, or its content.
        file: the open file that was hashed; None for content.
        signed: whether only these exact bytes may be loaded.
    """

    name: str
    model: bytes | Path
    file: OpenModel | None
    signed: bool

    @classmethod
    def of(cls, content: Content, signed: bool) -> ModelSource:
        """Return the path of the open file, which saves a copy in memory, or its bytes if it has no path or is signed.

        Args:
            content: the model.
            signed: whether only the signed bytes may be loaded.
        """
        if signed or content.file is None or not _named_for_onnxruntime(content.file.path):
            return cls(content.name, content.data, None, signed)
        return cls(content.name, content.file.path, content.file, signed)

    def check_unchanged(self) -> None:
        """Raise ModelError if the file was changed after it was hashed, since ONNX Runtime may have read other
        bytes."""
        if self.file is not None and self.file.current != self.file.stamp:
            raise ModelError(f"{self.name} changed while it was loaded", "", "run it again")


def _named_for_onnxruntime(path: Path) -> bool:
    """Return whether ONNX Runtime can open a path: it must be UTF-8 and not end in .ort, which is another format."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return path.suffix.lower() != ".ort"
