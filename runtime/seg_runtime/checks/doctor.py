"""The doctor: what this machine has, what really works, and the one line that mends what does not. Needs no model."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

from ..engine import (
    AUTO,
    PROVIDERS,
    Provider,
    available_threads,
    candidates,
    check_wheels,
    cpu_features,
    cpu_name,
    cpu_quota,
    nvidia_report,
    runtime_module,
    runtime_versions,
    wheels,
)
from ..formats import FORMATS
from ..support import SegError, table
from .probe import Probe


def examine(provider: str) -> dict[str, Any]:
    """Look at everything.

    Args:
        provider: `auto` or one of `engine.PROVIDERS`; whether it can be had decides `works`.

    Returns:
        The report, ready for JSON.
    """
    ort, findings = None, []
    try:
        ort = runtime_module()
    except SegError as error:
        findings.append(_finding(error))
    *_, needed = candidates(provider)  # `auto` works where its last one does
    tried = list(_tried(ort, provider)) if ort else []
    return {
        "works": any(p.loads for p in tried if p.name == needed.name),
        "asked": provider,
        "versions": {**runtime_versions(str(ort.__version__) if ort else "missing"), "system": platform.platform()},
        "wheels": wheels(),
        "built_in": list(ort.get_available_providers()) if ort else [],
        "providers": [vars(p) for p in tried],
        "nvidia": nvidia_report(ort),
        "cpu": {"name": cpu_name(), "features": cpu_features()},
        "threads": {"available": available_threads(), "processors": os.cpu_count(), "quota": cpu_quota()},
        "findings": [*findings, *_findings(provider, tried), *map(_finding, FORMATS.broken())],
    }


def _tried(ort: Any, provider: str) -> Iterator[Probe]:
    """What comes of trying those of `auto`, the one asked for, and all that are installed, by seg-run or by ONNX Runtime."""
    known: list[type[Provider]] = []
    for name in PROVIDERS.names():
        try:
            [kind] = candidates(name)
        except SegError as error:  # of a package that is not whole
            yield Probe(name, False, error.problem, error.advice)
            continue
        known.append(kind)
        if kind.installed(ort) or kind in (*candidates(AUTO), *candidates(provider)):
            yield Probe.of(kind)
    names = {kind.ort_name for kind in known}
    yield from (Probe.of_other(ort, name) for name in ort.get_available_providers() if name not in names)


def _findings(provider: str, tried: list[Probe]) -> Iterator[dict[str, str]]:
    """What is wrong, each with its fix.

    That a provider does not work is wrong only where it was asked for, or where the hardware is there that it is for.
    """
    try:
        if note := check_wheels(AUTO):
            problem, _, fix = note.partition(": ")
            yield {"problem": problem, "fix": fix}
    except SegError as error:
        yield _finding(error)
    two_wheels = len(wheels()) > 1  # found above; whatever does not load, this comes first
    for p in tried:
        if not (p.loads or two_wheels) and (p.name == provider or _expected(p.name)):
            yield {"problem": p.problem, "fix": p.fix}
    if cpu_features().get("AVX2") is False and platform.machine().lower() in ("x86_64", "amd64"):
        yield {"problem": "this processor has no AVX2", "fix": "expect CPU times several times longer"}


def _expected(name: str) -> bool:
    try:
        return name in PROVIDERS and PROVIDERS.get(name).expected()
    except SegError:
        return False


def _finding(error: SegError) -> dict[str, str]:
    return {"problem": error.problem, "fix": error.advice}


def doctor_table(report: Mapping[str, Any]) -> str:
    """The report of `examine` for a person."""
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
    return table(rows)
