"""The model passed to ONNX Runtime: a file that must not change after it was hashed, or the bytes that were checked."""

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
        exact: whether only these bytes may be loaded.
    """

    name: str
    model: bytes | Path
    file: OpenModel | None
    exact: bool

    @classmethod
    def of(cls, content: Content, exact: bool) -> ModelSource:
        """Return the path of the open file, which saves a copy in memory, or its bytes if it has no path.

        Args:
            content: the model.
            exact: whether only the bytes that were checked may be loaded.
        """
        if exact or content.file is None or not _named_for_onnxruntime(content.file.path):
            return cls(content.name, content.data, None, exact)
        return cls(content.name, content.file.path, content.file, exact)

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
