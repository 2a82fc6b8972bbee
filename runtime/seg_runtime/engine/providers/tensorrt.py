"""NVIDIA GPUs with TensorRT, and with CUDA for nodes that TensorRT does not support."""

from __future__ import annotations

import os
from typing import Any

from ...support import ProviderError
from .cuda import APART, TF32_SWITCH, Cuda


class TensorRT(Cuda):
    """TensorRT, which builds an engine of the network when it opens the model."""

    name = "tensorrt"
    label = "TensorRT"
    ort_name = "TensorrtExecutionProvider"
    takes = Cuda.takes - {"cuda_graph"}

    @classmethod
    def expected(cls) -> bool:
        """Return False: wheels list TensorRT whenever they list CUDA, and CUDA is enough to use a GPU."""
        return False

    def forbid_tf32(self) -> None:
        """Disable TF32 for the whole process.

        ONNX Runtime's TensorRT provider has no option for TF32 (microsoft/onnxruntime#26029). Only an environment
        variable disables it, which NVIDIA's libraries read when they start. A process therefore cannot combine a
        TensorRT session without TF32 and another session with it. torch in the same process does not use TF32 either.
        """
        now = os.environ.get(TF32_SWITCH)
        if self.started_fast:
            problem = f"TensorRT cannot disable TF32 after a session on {self.started_fast[0]} with fast math (TF32)"
            raise ProviderError(problem, "the same TF32 setting for all sessions of a process", APART)
        if now not in (None, "0"):
            problem = f"TensorRT cannot disable TF32, because {TF32_SWITCH}={now} is set in the environment"
            raise ProviderError(problem, "0", f"unset {TF32_SWITCH}, or allow fast math")
        os.environ[TF32_SWITCH] = "0"

    def chain(self) -> list[Any]:
        """Return TensorRT, then CUDA, then the CPU."""
        engine = {"trt_fp16_enable": str(int(self.half))}
        return [(self.ort_name, engine), (Cuda.ort_name, self.settings()), *super().chain()[1:]]

    def repair(self, ort: Any) -> str:
        """Name the libraries of CUDA, and TensorRT."""
        return f"{super().repair(ort)} and TensorRT 10 (`pip install tensorrt-cu12`)"
