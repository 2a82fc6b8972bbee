"""What this machine computes with: its processor, what that can do, and how much of it this process may use."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from importlib import import_module
from pathlib import Path

CPU_FEATURES = ("AVX2", "AVX512F", "AVX512_VNNI", "AVX_VNNI", "ASIMDDP")  # the last one is ARM's dot product
CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def available_threads() -> int:
    """Threads worth starting: the process's affinity and its container's quota, not the machine's size."""
    quota = cpu_quota()
    threads = _affine_threads()
    return threads if quota is None else max(1, min(threads, int(quota)))


def _affine_threads() -> int:
    """Processors that this process may run on, whatever share of their time it gets."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root: Path = CGROUPS, own: Path = OWN_GROUP) -> float | None:
    """Processors' worth of time that this process may use, None without a limit.

    Every control group from the process's own up to the root may limit it; inside a container its own one is the root.

    Args:
        root: where cgroup version 2 is mounted, or the folder of version 1's controllers.
        own: the file that names the process's group.
    """
    found = [share for folder in _groups(root, own) if (share := _share(folder)) is not None]
    return min(found, default=None)


def _groups(root: Path, own: Path) -> list[Path]:
    folders = [root, root / "cpu"]  # version 1 keeps the processor's controller in a folder of its own
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            number, controllers, group = line.split(":", 2)
            base = root if number == "0" else root / "cpu" if "cpu" in controllers.split(",") else None
            while base is not None and group not in ("", "/"):
                folders.append(base / group.lstrip("/"))
                group = os.path.dirname(group)  # noqa: PTH120 - a name inside the hierarchy, not of this file system
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
    """Whether the processor has what ONNX Runtime's fast kernels use; None where the system does not say."""
    flags = {name.upper() for name in cpu_flags()} or {name for name, has in _numpy_features().items() if has}
    if not flags:
        return dict.fromkeys(CPU_FEATURES, None)
    return {name: name in flags for name in CPU_FEATURES}


def cpu_flags() -> list[str]:
    """All that Linux says the processor can do, sorted; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return []
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return sorted(match[1].split()) if match else []


def _numpy_features() -> dict[str, bool]:
    """As numpy detects them, in our spelling."""
    for module in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):  # numpy 2 and 1
        with contextlib.suppress(ImportError, AttributeError):
            found: dict[str, bool] = import_module(module).__cpu_features__
            return {**found, "AVX512_VNNI": bool(found.get("AVX512VNNI") or found.get("AVX512_ICL"))}
    return {}


def cpu_name() -> str:
    """The processor's name as its maker gave it."""
    try:
        match = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()
