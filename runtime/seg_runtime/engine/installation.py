"""The ONNX Runtime that is installed here: its module, the wheels that it may come from, and the versions beside it."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from typing import Any

from ..support import ProviderError, versions_of

UNINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-openvino"
REINSTALL = f"{UNINSTALL}, then pip install 'seg-edge[gpu]' (or [cpu], or [openvino])"
_WHEEL = re.compile(r"(onnxruntime(?:_gpu|_directml|_openvino)?)-([^-]+)\.dist-info")


def runtime_module() -> Any:
    """The imported `onnxruntime`.

    Raises:
        ProviderError: no ONNX Runtime wheel is installed, or it cannot be imported.
    """
    try:
        import onnxruntime
    except ImportError as error:
        problem = f"ONNX Runtime cannot be imported ({error})"
        raise ProviderError(problem, "one of its wheels", "pip install 'seg-edge[cpu]' or 'seg-edge[gpu]'") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # an uninstalled wheel leaves an empty folder behind
        raise ProviderError("the onnxruntime package is incomplete", "one whole wheel", REINSTALL)
    return onnxruntime


def wheels() -> dict[str, str]:
    """Installed distributions that own the folder `onnxruntime`, with their versions, by their `.dist-info` folders."""
    found: dict[str, str] = {}
    for place in sys.path:  # importlib.metadata says the same and costs each start 15 ms
        with contextlib.suppress(OSError):  # of paths that are no folder
            for match in filter(None, map(_WHEEL.fullmatch, sorted(os.listdir(place or ".")))):  # noqa: PTH208
                found.setdefault(match[1].replace("_", "-"), match[2])
    return dict(sorted(found.items()))


def runtime_versions(onnxruntime: str) -> dict[str, str]:
    """Versions of all that computes an answer, beside that of ONNX Runtime."""
    import numpy
    import PIL

    return {**versions_of(numpy=numpy, pillow=PIL), "onnxruntime": onnxruntime, "python": platform.python_version()}


@contextlib.contextmanager
def quiet(ort: Any) -> Iterator[None]:
    """Keep ONNX Runtime's own lines off the screen: a library that does not load is reported by us, in one line."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default, warnings
