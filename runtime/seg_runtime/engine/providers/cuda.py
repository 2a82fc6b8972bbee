"""NVIDIA's GPUs by CUDA and cuDNN."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any, ClassVar

from ...support import ProviderError
from .provider import Provider

TF32_SWITCH = "NVIDIA_TF32_OVERRIDE"
APART = "open one of them in a process of its own"


class Cuda(Provider):
    """NVIDIA's GPUs by CUDA and cuDNN.

    Attributes:
        started_fast: names of the providers whose libraries have started in this process with TF32 allowed.
    """

    name = "cuda"
    label = "CUDA"
    ort_name = "CUDAExecutionProvider"
    extra = "gpu"
    takes = frozenset({"fast_math", "shrink_memory", "cuda_graph", "prefer_nhwc"})
    first_run = True  # a driver may load and yet have no kernels for this card; the first run is the slow one, too
    device = "cuda"
    arena = "gpu:0"
    refusal = "it was refused at start: no usable GPU or driver"

    started_fast: ClassVar[list[str]] = []

    @classmethod
    def expected(cls) -> bool:
        """Whether there is a driver."""
        from ..nvidia import driver  # imports ctypes, which would cost each start 4 ms

        return driver() is not None

    def settle(self, ort: Any) -> None:
        """Make sure that it gets TF32 where that is allowed, and none where it is not. CUDA has an option for it.

        Raises:
            ProviderError: the process, or its environment, forbids TF32.
        """
        if not self.installed(ort):
            return
        if not self.options.fast_math:
            self.forbid_tf32()
        elif os.environ.get(TF32_SWITCH) == "0":
            problem = f"fast math (TF32) on {self.name}, and {TF32_SWITCH}=0 forbids it in this process"
            fix = f"leave out fast math, or unset it; after a TensorRT session, {APART}"
            raise ProviderError(problem, "one of both", fix)

    def forbid_tf32(self) -> None:
        """Nothing more than the option in `settings`."""

    def preload(self, ort: Any) -> None:
        """Load CUDA and cuDNN from the nvidia wheels, where installed; ONNX Runtime prints what it misses to stdout."""
        if hasattr(ort, "preload_dlls"):
            with contextlib.redirect_stdout(io.StringIO()):
                ort.preload_dlls()

    def started(self) -> None:
        """Note whether NVIDIA's libraries started with TF32."""
        if self.options.fast_math:
            self.started_fast.append(self.name)

    def settings(self) -> dict[str, str]:
        """TF32 where allowed, a quick choice of algorithms, the graph and the layout where asked for."""
        settings = {"use_tf32": str(int(self.options.fast_math)), "cudnn_conv_algo_search": "HEURISTIC"}
        if self.options.tuning.prefer_nhwc:
            settings["prefer_nhwc"] = "1"
        if self.cuda_graph:
            settings["enable_cuda_graph"] = "1"
        return settings

    def repair(self, ort: Any) -> str:
        """The driver and the libraries, with the versions that the wheel wants."""
        from ..nvidia import CUDNN_MAJOR, cuda_wanted

        major = cuda_wanted(ort)
        return (
            f"install an NVIDIA driver{f', CUDA {major}' if major else ''} and cuDNN {CUDNN_MAJOR}"
            " (pip install 'onnxruntime-gpu[cuda,cudnn]' brings both libraries)"
        )
