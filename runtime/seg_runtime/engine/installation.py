"""The installed ONNX Runtime: its module, its wheels, and the versions of related packages."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from ..support import ProviderError, versions_of

UNINSTALL = "run `pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-openvino`"
REINSTALL = f"{UNINSTALL}, then `pip install 'seg-edge[gpu]'` (or [cpu], or [openvino])"
_WHEEL = re.compile(r"(onnxruntime(?:_gpu|_directml|_openvino)?)-([^-]+)\.dist-info")


def runtime_module() -> Any:
    """Import and return `onnxruntime`.

    Raises:
        ProviderError: no ONNX Runtime wheel is installed, or it cannot be imported.
    """
    try:
        import onnxruntime
    except ImportError as error:
        problem = f"ONNX Runtime cannot be imported ({error})"
        raise ProviderError(problem, "", "install it: pip install 'seg-edge[cpu]' or 'seg-edge[gpu]'") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # an uninstalled wheel leaves an empty folder behind
        raise ProviderError("the onnxruntime package is incomplete", "", REINSTALL)
    onnxruntime.disable_telemetry_events()  # on Windows, events go through the system, see `disable_telemetry`
    return onnxruntime


def wheels() -> dict[str, str]:
    """Return the installed wheels that contain the package `onnxruntime`, with versions, from their `.dist-info`
    folders."""
    found: dict[str, str] = {}
    for place in sys.path:  # importlib.metadata would take 15 ms at every start
        with contextlib.suppress(OSError):  # the path is not a folder
            for match in filter(None, map(_WHEEL.fullmatch, sorted(os.listdir(place or ".")))):  # noqa: PTH208
                found.setdefault(match[1].replace("_", "-"), match[2])
    return dict(sorted(found.items()))


def runtime_versions(onnxruntime: str) -> dict[str, str]:
    """Return the versions of all packages that affect the results, including that of ONNX Runtime."""
    import numpy
    import PIL

    return {**versions_of(numpy=numpy, pillow=PIL), "onnxruntime": onnxruntime, "python": platform.python_version()}


@contextlib.contextmanager
def quiet(ort: Any) -> Iterator[None]:
    """Suppress ONNX Runtime's log messages; libraries that do not load are reported as errors instead."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # the default: warnings
