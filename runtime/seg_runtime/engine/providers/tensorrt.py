"""NVIDIA's GPUs by TensorRT, and by CUDA for what it cannot take."""

from __future__ import annotations

import os
from typing import Any

from ...support import ProviderError
from .cuda import APART, TF32_SWITCH, Cuda


class TensorRT(Cuda):
    """TensorRT, which makes one engine of the network when it opens it."""

    name = "tensorrt"
    label = "TensorRT"
    ort_name = "TensorrtExecutionProvider"
    takes = Cuda.takes - {"cuda_graph"}

    @classmethod
    def expected(cls) -> bool:
        """Never: wheels list it wherever they list CUDA, and CUDA alone is enough to use a card."""
        return False

    def forbid_tf32(self) -> None:
        """Forbid TF32 for the whole process.

        ONNX Runtime's TensorRT has no option for it (microsoft/onnxruntime#26029): only an environment variable forbids it,
        which NVIDIA's libraries read when they start. So one process cannot have TensorRT without TF32 and another session
        with it; and torch beside such a TensorRT goes without, too.
        """
        now = os.environ.get(TF32_SWITCH)
        if self.started_fast:
            problem = f"TensorRT without TF32 after a session on {self.started_fast[0]} with it (fast math)"
            raise ProviderError(problem, "one answer to TF32 in a process", APART)
        if now not in (None, "0"):
            problem = f"TensorRT without TF32, and {TF32_SWITCH}={now} in the environment"
            raise ProviderError(problem, "0", "unset it, or allow fast math")
        os.environ[TF32_SWITCH] = "0"

    def chain(self) -> list[Any]:
        """Itself, then CUDA, then the CPU."""
        engine = {"trt_fp16_enable": str(int(self.half))}
        return [(self.ort_name, engine), (Cuda.ort_name, self.settings()), *super().chain()[1:]]

    def repair(self, ort: Any) -> str:
        """What CUDA needs, and TensorRT itself."""
        return f"{super().repair(ort)} and TensorRT 10 (pip install tensorrt-cu12)"
