"""The doctor: what this machine has, what really works, and the one line that mends what does not. Needs no model."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ..engine.hardware import available_threads, cpu_features, cpu_name, cpu_quota
from ..engine.providers import check_wheels, runtime_module, wheels
from ..engine.tuning import ORT_NAMES
from ..support.errors import SegError
from ..version import VERSION
from .probe import Probe, others, probe, probe_other

CUDNN_MAJOR = 9  # of every CUDA wheel since ONNX Runtime 1.19


def examine(provider: str) -> dict[str, Any]:
    """Look at everything.

    Args:
        provider: `auto` or one of `tuning.ORT_NAMES`; whether it can be had decides `works`.

    Returns:
        The report, ready for JSON.
    """
    try:
        ort, problem = runtime_module(), None
    except SegError as error:
        ort, problem = None, error
    tried = [probe(name) for name in ORT_NAMES if _concerns(name, provider, ort)] if ort else []
    tried += [probe_other(ort, name) for name in others(ort)] if ort else []
    loads = {p.name: p.loads for p in tried}
    nvidia = _nvidia(ort)
    return {
        "works": loads.get("cpu" if provider == "auto" else provider, False),
        "asked": provider,
        "versions": _versions(ort),
        "wheels": wheels(),
        "built_in": list(ort.get_available_providers()) if ort else [],
        "providers": [vars(p) for p in tried],
        "nvidia": nvidia,
        "cpu": {"name": cpu_name(), "features": cpu_features()},
        "threads": {"available": available_threads(), "processors": os.cpu_count(), "quota": cpu_quota()},
        "findings": _findings(provider, tried, problem, nvidia),
    }


def _concerns(name: str, provider: str, ort: Any) -> bool:
    """Whether a provider is worth a line: CPU and CUDA always, the others where they are asked for or built in."""
    return name in ("cpu", "cuda", provider) or ORT_NAMES[name] in ort.get_available_providers()


def _versions(ort: Any) -> dict[str, str]:
    return {
        "seg-edge": VERSION,
        "onnxruntime": str(ort.__version__) if ort else "missing",
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _findings(
    provider: str, tried: list[Probe], missing: SegError | None, nvidia: Mapping[str, Any]
) -> list[dict[str, str]]:
    """What is wrong, each with its fix. That CUDA is absent is wrong only where it was asked for or a card is there."""
    found = [{"problem": missing.came, "fix": missing.fix}] if missing else []
    try:
        if note := check_wheels("auto"):
            problem, _, fix = note.partition(": ")
            found.append({"problem": problem, "fix": fix})
    except SegError as error:
        found.append({"problem": error.came, "fix": error.fix})
    two_wheels = len(wheels()) > 1  # told above; whatever does not load, this comes first
    for p in tried:
        if not (p.loads or two_wheels) and (p.name in ("cpu", provider) or (p.name == "cuda" and nvidia["driver"])):
            found.append({"problem": p.problem, "fix": p.fix})
    if cpu_features().get("AVX2") is False and platform.machine().lower() in ("x86_64", "amd64"):
        found.append({"problem": "this processor has no AVX2", "fix": "expect CPU times several times longer"})
    return found


def _nvidia(ort: Any) -> dict[str, Any]:
    """The driver, and the majors of CUDA and cuDNN that the wheel wants and that can be loaded here."""
    wanted = str(getattr(ort, "cuda_version", "") or "")
    return {
        "driver": _driver(),
        "driver_cuda": _called(("libcuda.so.1", "nvcuda.dll"), "cuDriverGetVersion"),
        "cuda_wanted": wanted.split(".")[0] or None,
        "cuda_found": _called(
            [n for m in (13, 12, 11) for n in (f"libcudart.so.{m}", f"cudart64_{m}.dll")], "cudaRuntimeGetVersion"
        ),
        "cudnn_wanted": str(CUDNN_MAJOR) if wanted else None,
        "cudnn_found": _cudnn(),
    }


def _driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return "present" if _library(("libcuda.so.1", "nvcuda.dll")) else None
    match = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return match[1] if match else "present"


def _called(names: list[str] | tuple[str, ...], function: str) -> str | None:
    """The version that CUDA's driver or runtime tells (12080 is 12.8), None without the library."""
    library, number = _library(names), ctypes.c_int()
    if library is None or getattr(library, function)(ctypes.byref(number)):
        return None
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _cudnn() -> str | None:
    library = _library([n for m in (9, 8) for n in (f"libcudnn.so.{m}", f"cudnn64_{m}.dll")])
    if library is None:
        return None
    library.cudnnGetVersion.restype = ctypes.c_size_t
    number = library.cudnnGetVersion()  # 90100 is 9.1.0, 8907 was 8.9.7
    major, rest = divmod(number, 10000 if number >= 90000 else 1000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _library(names: list[str] | tuple[str, ...]) -> ctypes.CDLL | None:
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def table(report: Mapping[str, Any]) -> str:
    """A report for a person."""
    nvidia, threads = report["nvidia"], report["threads"]
    rows = [("versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items()))]
    rows.append(("wheels", ", ".join(f"{name} {version}" for name, version in report["wheels"].items()) or "none"))
    for p in report["providers"]:
        rows.append((p["name"], "works" if p["loads"] else f"does not work: {p['problem']}"))
    for what in ("cuda", "cudnn"):
        if wanted := nvidia[f"{what}_wanted"]:
            rows.append((f"{what} libraries", f"wheel wants {wanted}, found {nvidia[f'{what}_found'] or 'none'}"))
    limit = f", driver for CUDA up to {nvidia['driver_cuda']}" if nvidia["driver_cuda"] else ""
    rows.append(("NVIDIA driver", f"{nvidia['driver'] or 'none seen'}{limit}"))
    has = [name for name, there in report["cpu"]["features"].items() if there]
    rows.append(("processor", f"{report['cpu']['name']}; {', '.join(has) or 'no feature known'}"))
    quota = f", quota {threads['quota']:g}" if threads["quota"] else ""
    rows.append(("threads", f"{threads['available']} for this process, {threads['processors']} in the machine{quota}"))
    rows += [("fix", f"{f['problem']}: {f['fix']}") for f in report["findings"]]
    rows.append(("verdict", f"--provider {report['asked']} {'works' if report['works'] else 'does not work'}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)
