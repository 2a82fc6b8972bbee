"""How a session is set up: threads, memory, and the options of each execution provider."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.errors import ProviderError
from .hardware import available_threads

ORT_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}


@dataclass(frozen=True)
class Tuning:
    """What changes speed and memory, and not one bit of an answer on CPU."""

    cache: Path | None = None
    """Folder for optimised models, see `cache.py`; None keeps none. CPU only."""
    shrink_memory: bool = False
    """Give the memory of the activations back after every window: it is asked for again by the next one."""
    process_arena: bool = False
    """Take the activations' memory from one arena of the process, which grows by what is asked for instead of by powers
    of two: some 90 MB less for the first window of the paper's network, kept until the process ends, though."""
    cuda_graph: bool = False
    """CUDA: record the kernels of a window once and replay them; given up where the recording fails."""
    prefer_nhwc: bool = False
    """CUDA: let ONNX Runtime lay out convolutions with the channels last."""


@dataclass(frozen=True)
class Setup:
    """All that a session is opened with, besides its model."""

    provider: str = "auto"
    threads: int | None = None
    """Inside one operator, for CPU; None takes all that this process may use."""
    fast_math: bool = False
    """Allow TF32 on CUDA (errors near 1e-3 instead of 1e-5)."""
    record_placement: bool = False
    """Let ONNX Runtime note which provider got which node."""
    half: bool = False
    """Whether the model itself computes in float16."""
    tuning: Tuning = Tuning()


def session_options(ort: Any, setup: Setup, provider: str) -> Any:
    """`onnxruntime.SessionOptions` for one of our providers."""
    options = ort.SessionOptions()
    if setup.record_placement:  # versions that do not know the entry pass over it
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.intra_op_num_threads = setup.threads or available_threads()
    options.log_severity_level = 4  # what a log line would say is raised as an error here
    if provider == "cpu":
        # the plan of one block for all activations would lie beside what the first window took: 160 MB, and not faster
        options.enable_mem_pattern = False
    if setup.tuning.process_arena and provider == "cpu":
        _register_arena(ort)
        options.add_session_config_entry("session.use_env_allocators", "1")
    return options


def provider_chain(provider: str, setup: Setup) -> list[Any]:
    """The `providers` of an InferenceSession: ours first, CPU last for what it cannot take."""
    chosen: list[Any] = [ORT_NAMES["cpu"]]
    if provider in ("cuda", "tensorrt"):
        cuda = {"use_tf32": str(int(setup.fast_math)), "cudnn_conv_algo_search": "HEURISTIC"}
        if setup.tuning.prefer_nhwc:
            cuda["prefer_nhwc"] = "1"
        if setup.tuning.cuda_graph and provider == "cuda":
            cuda["enable_cuda_graph"] = "1"
        chosen.insert(0, (ORT_NAMES["cuda"], cuda))
    if provider == "tensorrt":
        chosen.insert(0, (ORT_NAMES["tensorrt"], {"trt_fp16_enable": str(int(setup.half))}))
    if provider == "openvino":
        threads = str(setup.threads or available_threads())
        # ACCURACY: in the model's own precision, whatever OpenVINO's default for this processor may be
        settings = {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": threads}
        chosen.insert(0, (ORT_NAMES["openvino"], settings))
    return chosen


TF32_SWITCH = "NVIDIA_TF32_OVERRIDE"
_tf32_allowed: list[str] = []  # providers whose libraries have started in this process with TF32 allowed


def settle_tf32(provider: str, setup: Setup) -> None:
    """Make sure that a session on the GPU gets the TF32 that was asked for, or none.

    CUDA has an option for it. ONNX Runtime's TensorRT has none (microsoft/onnxruntime#26029): there only an environment
    variable forbids it, which NVIDIA's libraries read when they start, for the whole process. So one process cannot have
    TensorRT without TF32 and another session with it; and torch beside such a TensorRT goes without, too.

    Raises:
        ProviderError: the process, or its environment, is settled otherwise.
    """
    if provider not in ("cuda", "tensorrt"):
        return
    now, apart = os.environ.get(TF32_SWITCH), "open one of them in a process of its own"
    if setup.fast_math:
        if now == "0":
            came = f"fast math (TF32) on {provider}, and {TF32_SWITCH}=0 forbids it in this process"
            raise ProviderError(
                came, "one of both", f"leave out fast math, or unset it; after a TensorRT session, {apart}"
            )
    elif provider == "tensorrt":
        if _tf32_allowed:
            came = f"TensorRT without TF32 after a session on {_tf32_allowed[0]} with it (fast math)"
            raise ProviderError(came, "one answer to TF32 in a process", apart)
        if now not in (None, "0"):
            came = f"TensorRT without TF32, and {TF32_SWITCH}={now} in the environment"
            raise ProviderError(came, "0", "unset it, or allow fast math")
        os.environ[TF32_SWITCH] = "0"


def note_started(provider: str, setup: Setup) -> None:
    """Remember that NVIDIA's libraries have started for a session, and so have read what is said about TF32."""
    if provider in ("cuda", "tensorrt") and setup.fast_math:
        _tf32_allowed.append(provider)


def run_options(ort: Any, setup: Setup, provider: str) -> Any:
    """`onnxruntime.RunOptions` of every run, None for the plain ones."""
    if not setup.tuning.shrink_memory or provider == "openvino":  # whose memory is its own
        return None
    options = ort.RunOptions()
    where = "cpu:0" if provider == "cpu" else "gpu:0"
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", where)
    return options


def _register_arena(ort: Any) -> None:
    """One arena for all sessions of this process that ask for it; a second registration changes nothing."""
    config = ort.OrtArenaCfg({"arena_extend_strategy": 1})  # kSameAsRequested
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, config)
