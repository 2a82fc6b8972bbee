"""Which ONNX Runtime this machine has, or seems to have."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

no_cuda = pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this machine's wheel has CUDA"
)


def fake_wheel(folder: Path) -> None:
    """A folder for the import path in which pip seems to have installed onnxruntime-gpu."""
    info = folder / "onnxruntime_gpu-1.20.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.20.0\n")
