"""The NVIDIA software of this machine: the driver and the versions of CUDA and cuDNN that can be loaded."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CUDNN_MAJOR = 9  # used by every CUDA wheel since ONNX Runtime 1.19
_DRIVER = ("libcuda.so.1", "nvcuda.dll")


def nvidia_report(ort: Any) -> dict[str, Any]:
    """Return the driver version, and the versions of CUDA and cuDNN that the wheel needs and that can be loaded.

    Args:
        ort: the module onnxruntime; None if it is not installed.
    """
    major = cuda_wanted(ort)
    runtimes = [n for m in (13, 12, 11) for n in (f"libcudart.so.{m}", f"cudart64_{m}.dll")]
    return {
        "driver": driver(),
        "driver_cuda": _version(_DRIVER, "cuDriverGetVersion"),
        "cuda_wanted": major or None,
        "cuda_found": _version(runtimes, "cudaRuntimeGetVersion"),
        "cudnn_wanted": str(CUDNN_MAJOR) if major else None,
        "cudnn_found": _cudnn(),
    }


def cuda_wanted(ort: Any) -> str:
    """Return the major version of CUDA that the wheel is built for; empty if it is built without CUDA."""
    return str(getattr(ort, "cuda_version", "") or "").split(".")[0]


def driver() -> str | None:
    """Return the version of the driver, `present` if it is unknown, None if there is no driver."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return "present" if _library(_DRIVER) else None
    match = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return match[1] if match else "present"


def _version(names: Sequence[str], function: str) -> str | None:
    """Return the version that the CUDA driver or runtime reports (12080 is 12.8); None without the library."""
    library, number = _library(names), ctypes.c_int()
    if library is None or getattr(library, function)(ctypes.byref(number)):
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _cudnn() -> str | None:
    library = _library([n for m in (9, 8) for n in (f"libcudnn.so.{m}", f"cudnn64_{m}.dll")])
    if library is None:
        return None
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = library.cudnnGetVersion()  # 90100 is 9.1.0, 8907 is 8.9.7
    major, rest = divmod(number, 10000 if number >= 90000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _library(names: Sequence[str]) -> ctypes.CDLL | None:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
