"""One execution provider asked for, that provider got, or an error that says why and what to do."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ModelError, ProviderError, SegError

PROVIDERS = ("auto", "cpu", "cuda")
ORT_NAMES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def runtime_module() -> Any:
    """The imported `onnxruntime`.

    Raises:
        ProviderError: no ONNX Runtime wheel is installed, or it cannot be imported.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(
            f"ONNX Runtime cannot be imported ({error})",
            "one of its wheels",
            "pip install 'seg-edge[cpu]' or 'seg-edge[gpu]'",
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # an uninstalled wheel leaves an empty folder behind
        raise ProviderError("the onnxruntime package is incomplete", "one whole wheel", _REINSTALL)
    return onnxruntime


_REINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install 'seg-edge[gpu]' (or [cpu])"


def wheels() -> dict[str, str]:
    """Installed distributions that own the folder `onnxruntime`, with their versions, by their `.dist-info` folders."""
    found: dict[str, str] = {}
    for place in sys.path:  # importlib.metadata says the same and costs each start 15 ms
        with contextlib.suppress(OSError):  # of paths that are no folder
            for match in filter(None, map(_WHEEL.fullmatch, sorted(os.listdir(place or ".")))):  # noqa: PTH208
                found.setdefault(match[1].replace("_", "-"), match[2])
    return dict(sorted(found.items()))


_WHEEL = re.compile(r"(onnxruntime(?:_gpu|_directml|_openvino)?)-([^-]+)\.dist-info")


def available_threads() -> int:
    """Processors that this process may use: its affinity, not the machine's size."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_wheels(provider: str) -> str:
    """A note about two ONNX Runtime wheels in one environment, empty where there is one.

    Raises:
        ProviderError: two wheels and CUDA asked for: one overwrote files of the other, so CUDA may have vanished.
    """
    found = wheels()
    if len(found) < 2:
        return ""
    both = " and ".join(f"{name} {version}" for name, version in found.items())
    if provider == "cuda":
        raise ProviderError(f"{both} are installed in one environment", "exactly one", _REINSTALL)
    return f"{both} are installed in one environment and overwrite each other: {_REINSTALL}"


@dataclass(frozen=True)
class Opened:
    """An ONNX Runtime session, the provider it got, and why `auto` did not take CUDA (empty where it did)."""

    session: Any
    provider: str
    reason: str = ""


def open_session(
    model: bytes, provider: str, threads: int | None, fast_math: bool, record_placement: bool = False
) -> Opened:
    """An ONNX Runtime session on exactly the provider asked for.

    Args:
        model: content of an ONNX file.
        provider: `cpu`, `cuda`, or `auto` (CUDA when it really loads, else CPU).
        threads: inside one operator, for CPU; None takes all that this process may use.
        fast_math: allow TF32 on CUDA (errors near 1e-3 instead of 1e-5).
        record_placement: let ONNX Runtime note which provider got which node, for `placement`.

    Raises:
        ProviderError: unknown provider, or CUDA asked for and not to be had.
        ModelError: ONNX Runtime refuses the model.
    """
    if provider not in PROVIDERS:
        raise ProviderError(f"provider {provider!r}", " or ".join(PROVIDERS), "choose one of them")
    if threads is not None and threads < 1:
        raise SegError(f"{threads} threads", "1 or more", "leave it out to use all that this process may use")
    check_wheels(provider)
    ort = runtime_module()
    if provider == "cpu":
        return Opened(_create(ort, model, "cpu", threads, fast_math, record_placement), "cpu")
    if _cuda_listed(ort):
        if hasattr(ort, "preload_dlls"):
            _quiet_preload(ort)
        try:
            session = _create(ort, model, "cuda", threads, fast_math, record_placement)
            if session.get_providers()[0] == ORT_NAMES["cuda"]:
                return Opened(session, "cuda")
            problem = _missing_library(ort)  # ONNX Runtime itself goes on, on CPU
        except ProviderError as error:
            if provider == "cuda":
                raise
            problem = str(error)
    else:
        problem = f"the installed wheel ({', '.join(wheels()) or 'onnxruntime'}) is built without it"
    if provider == "cuda":
        raise ProviderError(f"CUDA cannot be used: {problem}", "", _cuda_fix(ort))
    return Opened(_create(ort, model, "cpu", threads, fast_math, record_placement), "cpu", f"no CUDA: {problem}")


def placement(session: Any) -> dict[str, int] | None:
    """Nodes on each execution provider; None where ONNX Runtime is too old to tell."""
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):
        return None
    counts: dict[str, int] = {}
    for subgraph in subgraphs:
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts or None


def _create(ort: Any, model: bytes, provider: str, threads: int | None, fast_math: bool, record_placement: bool) -> Any:
    options = ort.SessionOptions()
    if record_placement:  # versions that do not know the entry pass over it
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.intra_op_num_threads = threads or available_threads()
    options.log_severity_level = 4  # what a log line would say is raised as an error here
    chosen: list[Any] = [ORT_NAMES["cpu"]]
    if provider == "cuda":
        settings = {"use_tf32": str(int(fast_math)), "cudnn_conv_algo_search": "HEURISTIC"}
        chosen.insert(0, (ORT_NAMES["cuda"], settings))
    try:
        # without this, a session whose provider fails, at start or in the middle of a run, repeats the work on CPU
        with quiet(ort):
            session = ort.InferenceSession(model, options, providers=chosen, enable_fallback=0)
    except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
        if (
            type(error).__name__ in ("InvalidProtobuf", "InvalidGraph", "NoModel", "NotImplemented")
            or provider == "cpu"
        ):
            raise ModelError(
                f"ONNX Runtime {ort.__version__} refuses the model ({error})", "", "export it again"
            ) from error
        raise ProviderError(f"CUDA failed to start ({error})", "", _cuda_fix(ort)) from error
    session.disable_fallback()  # versions that do not know the argument know this
    session._model_bytes = None  # kept by ONNX Runtime for a fallback that is off: the whole file, in memory for good
    return session


@contextlib.contextmanager
def quiet(ort: Any) -> Iterator[None]:
    """Keep ONNX Runtime's own lines off the screen: a library that does not load is told by us, in one line."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default, warnings


def _cuda_listed(ort: Any) -> bool:
    return ORT_NAMES["cuda"] in ort.get_available_providers()


def _missing_library(ort: Any) -> str:
    """Why CUDA did not load, by the name of the first missing library."""
    import ctypes

    folder = Path(ort.__file__).parent / "capi"
    for library in sorted(folder.glob("*onnxruntime_providers_shared*")) + sorted(folder.glob("*providers_cuda*")):
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return str(error)
    return "it was refused at start: no usable GPU or driver"


def _quiet_preload(ort: Any) -> None:
    """Load CUDA and cuDNN from the nvidia wheels, where installed; ONNX Runtime prints what it misses to stdout."""
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()


def _cuda_fix(ort: Any) -> str:
    if not _cuda_listed(ort):
        return "pip uninstall -y onnxruntime, then pip install 'seg-edge[gpu]'; or use --provider cpu"
    major = str(getattr(ort, "cuda_version", "") or "").split(".")[0]
    return (
        f"install an NVIDIA driver{f', CUDA {major}' if major else ''} and cuDNN 9"
        " (pip install 'onnxruntime-gpu[cuda,cudnn]' brings both libraries); or use --provider cpu"
    )
