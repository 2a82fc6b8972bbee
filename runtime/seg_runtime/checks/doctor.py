"""The doctor: examine this machine, test the providers and say how to fix each problem. No model is needed."""

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
from ..model import Machine, Requirements, machine_requirements, to_json_value
from ..support import SegError, table
from .provider_check import ProviderCheck


def examine(provider: str) -> dict[str, Any]:
    """Examine this machine.

    Args:
        provider: `auto` or one of `engine.PROVIDERS`; `works` in the report says whether it can run a model.

    Returns:
        The report, ready for JSON.
    """
    ort, findings = None, []
    try:
        ort = runtime_module()
    except SegError as error:
        findings.append(_finding(error))
    machine = Machine(None, Requirements())
    try:
        machine = machine_requirements()
    except SegError as error:
        findings.append(_finding(error))
    *_, needed = candidates(provider)  # `auto` works if its last candidate does
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
        "policy": {"file": str(machine.file), **to_json_value(machine.requirements)} if machine.file else None,
        "findings": [*findings, *_findings(provider, tried), *map(_finding, FORMATS.broken())],
    }


def _tried(ort: Any, provider: str) -> Iterator[ProviderCheck]:
    """Test the providers of `auto`, the requested one, and all that seg-run or ONNX Runtime have installed."""
    known: list[type[Provider]] = []
    for name in PROVIDERS.names():
        try:
            [kind] = candidates(name)
        except SegError as error:  # from a broken package
            yield ProviderCheck(name, False, error.problem, error.advice)
            continue
        known.append(kind)
        if kind.installed(ort) or kind in (*candidates(AUTO), *candidates(provider)):
            yield ProviderCheck.of(kind)
    names = {kind.ort_name for kind in known}
    yield from (ProviderCheck.of_other(ort, name) for name in ort.get_available_providers() if name not in names)


def _findings(provider: str, tried: list[ProviderCheck]) -> Iterator[dict[str, str]]:
    """Yield the problems, each with its fix.

    A provider that does not work is a problem only if it is requested or if this machine has the hardware for it.
    """
    try:
        if note := check_wheels(AUTO):
            problem, _, advice = note.partition(": ")
            yield {"problem": problem, "fix": advice}
    except SegError as error:
        yield _finding(error)
    two_wheels = len(wheels()) > 1  # reported above; it has to be fixed before anything that does not load
    for p in tried:
        if not (p.loads or two_wheels) and (p.name == provider or _expected(p.name)):
            yield {"problem": p.problem, "fix": p.fix}
    if cpu_features().get("AVX2") is False and platform.machine().lower() in ("x86_64", "amd64"):
        yield {"problem": "this processor has no AVX2", "fix": "expect inference on the CPU to be several times slower"}


def _expected(name: str) -> bool:
    try:
        return name in PROVIDERS and PROVIDERS.get(name).expected()
    except SegError:
        return False


def _finding(error: SegError) -> dict[str, str]:
    return {"problem": error.problem, "fix": error.advice}


def doctor_table(report: Mapping[str, Any]) -> str:
    """Format the report of `examine` as a table."""
    nvidia, threads = report["nvidia"], report["threads"]
    rows = [("versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items()))]
    rows.append(("wheels", ", ".join(f"{name} {version}" for name, version in report["wheels"].items()) or "none"))
    for p in report["providers"]:
        rows.append((p["name"], "works" if p["loads"] else f"does not work: {p['problem']}"))
    for what in ("cuda", "cudnn"):
        if wanted := nvidia[f"{what}_wanted"]:
            rows.append((f"{what} libraries", f"the wheel needs {wanted}, found {nvidia[f'{what}_found'] or 'none'}"))
    limit = f", supports CUDA up to {nvidia['driver_cuda']}" if nvidia["driver_cuda"] else ""
    rows.append(("NVIDIA driver", f"{nvidia['driver'] or 'not found'}{limit}"))
    has = [name for name, there in report["cpu"]["features"].items() if there]
    rows.append(("processor", f"{report['cpu']['name']}; {', '.join(has) or 'features unknown'}"))
    quota = f", quota {threads['quota']:g}" if threads["quota"] else ""
    available = f"{threads['available']} available to this process"
    rows.append(("threads", f"{available}, {threads['processors']} on this machine{quota}"))
    if policy := report["policy"]:
        rows.append(("policy", _policy_row(policy)))
    rows += [("fix", f"{f['problem']}: {f['fix']}") for f in report["findings"]]
    rows.append(("result", f"--provider {report['asked']} {'works' if report['works'] else 'does not work'}"))
    return table(rows)


def _policy_row(policy: Mapping[str, Any]) -> str:
    models = [f"{name} {lowest} or newer" if lowest else name for name, lowest in policy["models"].items()]
    parts = [
        f"signed with {policy['signature']}" if policy["signature"] else "",
        f"models {', '.join(models)}" if models else "",
        f"{len(policy['sha256'])} SHA-256" if policy["sha256"] else "",
    ]
    return f"{policy['file']}: {'; '.join(filter(None, parts))}"
