"""NVIDIA GPUs with CUDA and cuDNN."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any, ClassVar

from ...support import ProviderError
from .provider import Provider

TF32_SWITCH = "NVIDIA_TF32_OVERRIDE"
APART = "run one of the two sessions in a separate process"


class Cuda(Provider):
    """NVIDIA GPUs with CUDA and cuDNN.

    Attributes:
        started_fast: names of the providers whose libraries have started in this process with TF32 allowed.
    """

    name = "cuda"
    label = "CUDA"
    ort_name = "CUDAExecutionProvider"
    extra = "gpu"
    takes = frozenset({"fast_math", "shrink_memory", "cuda_graph", "prefer_nhwc"})
    first_run = True  # a driver may load without kernels for this GPU; the first run is slow anyway
    device = "cuda"
    arena = "gpu:0"
    refusal = "ONNX Runtime did not start it: no usable GPU or driver"

    started_fast: ClassVar[list[str]] = []

    @classmethod
    def expected(cls) -> bool:
        """Return whether a driver is installed."""
        from ..nvidia import driver  # imports ctypes, which takes 4 ms

        return driver() is not None

    def settle(self, ort: Any) -> None:
        """Make sure that TF32 is used only if it is allowed. CUDA has an option for it.

        Raises:
            ProviderError: TF32 is requested, but disabled in this process or its environment.
        """
        if not self.installed(ort):
            return
        if not self.options.fast_math:
            self.forbid_tf32()
        elif os.environ.get(TF32_SWITCH) == "0":
            problem = f"{self.name} cannot use fast math (TF32), because {TF32_SWITCH}=0 disables it in this process"
            advice = f"leave out fast math, or unset {TF32_SWITCH}; after a TensorRT session, {APART}"
            raise ProviderError(problem, "", advice)

    def forbid_tf32(self) -> None:
        """Do nothing: the option in `settings` is sufficient."""

    def preload(self, ort: Any) -> None:
        """Load CUDA and cuDNN from the nvidia wheels, if installed. ONNX Runtime prints missing libraries to stdout."""
        if hasattr(ort, "preload_dlls"):
            with contextlib.redirect_stdout(io.StringIO()):
                ort.preload_dlls()

    def started(self) -> None:
        """Remember whether NVIDIA's libraries started with TF32."""
        if self.options.fast_math:
            self.started_fast.append(self.name)

    def settings(self) -> dict[str, str]:
        """Return the options: TF32 if allowed, heuristic algorithm search, graph and layout if requested."""
        settings = {"use_tf32": str(int(self.options.fast_math)), "cudnn_conv_algo_search": "HEURISTIC"}
        if self.options.tuning.prefer_nhwc:
            settings["prefer_nhwc"] = "1"
        if self.cuda_graph:
            settings["enable_cuda_graph"] = "1"
        return settings

    def repair(self, ort: Any) -> str:
        """Name the driver and the libraries to install, with the versions that the wheel needs."""
        from ..nvidia import CUDNN_MAJOR, cuda_wanted

        major = cuda_wanted(ort)
        return (
            f"install an NVIDIA driver{f', CUDA {major}' if major else ''} and cuDNN {CUDNN_MAJOR}"
            " (`pip install 'onnxruntime-gpu[cuda,cudnn]'` installs both libraries)"
        )
