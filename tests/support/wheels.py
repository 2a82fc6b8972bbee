"""Which ONNX Runtime this machine has, or seems to have."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from .packages import install

no_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this machine's wheel has CUDA"
)


def fake_wheel(folder: Path) -> None:
    """A folder for the import path in which pip seems to have installed onnxruntime-gpu."""
    install(folder, "onnxruntime-gpu", "1.20.0")
