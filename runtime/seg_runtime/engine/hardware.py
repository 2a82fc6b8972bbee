"""The processor of this machine: its name, its features and the share of it that this process may use."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib import import_module
from pathlib import Path

CPU_FEATURES = ("AVX2", "AVX512F", "AVX512_VNNI", "AVX_VNNI", "ASIMDDP")  # ASIMDDP is the dot product of ARM
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def available_threads() -> int:
    """Return the number of threads to use, from the affinity of the process and the quota of its container."""
    quota = cpu_quota()
    threads = _affine_threads()
    return threads if quota is None else max(1, min(threads, int(quota)))


def _affine_threads() -> int:
    """Return the number of processors that this process may run on, without quotas."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_GROUP) -> float | None:
    """Return the CPU quota of this process, in processors; None if there is no limit.

    Every control group (cgroup) from that of the process up to the root may set a limit. In a container, the group of
    the process is the root.

    Args:
        root: mount point of cgroup version 2, or the folder of the controllers of version 1.
        own: file that names the group of the process.
    """
    found = [share for folder in _groups(root, own) if (share := _share(folder)) is not None]
    return min(found, default=None)


def _groups(root: Path, own: Path) -> list[Path]:
    folders = [root, root / "cpu"]  # version 1 has a separate folder for the CPU controller
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            number, controllers, group = line.split(":", 2)
            base = root if number == "0" else root / "cpu" if "cpu" in controllers.split(",") else None
            while base is not None and group not in ("", "/"):
                folders.append(base / group.lstrip("/"))
                group = os.path.dirname(group)  # noqa: PTH120 - a cgroup name, not a file path
    return folders


def _share(folder: Path) -> float | None:
    try:
        if (limit := folder / "cpu.max").exists():
            quota, period = limit.read_text().split()
        else:
            quota, period = [(folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or `max`
        return None
    return share if share > 0 else None  # version 1 writes -1 for no limit


def cpu_features() -> dict[str, bool | None]:
    """Return whether the processor has the features that ONNX Runtime's fast kernels use; None if unknown."""
    flags = {name.upper() for name in cpu_flags()} or {name for name, has in _numpy_features().items() if has}
    if not flags:
        return dict.fromkeys(CPU_FEATURES, None)
    return {name: name in flags for name in CPU_FEATURES}


def cpu_flags() -> list[str]:
    """Return the CPU flags that Linux reports, sorted; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return sorted(match[1].split()) if match else []


def _numpy_features() -> dict[str, bool]:
    """Return the features that numpy detects, with the names used here."""
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):  # numpy 2 and 1
        with contextlib.suppress(ImportError, AttributeError):
            found: dict[str, bool] = import_module(module).__cpu_features__
            return {**found, "AVX512_VNNI": bool(found.get("AVX512VNNI") or found.get("AVX512_ICL"))}
    return {}


def cpu_name() -> str:
    """Return the model name of the processor."""
    try:
        match = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()
