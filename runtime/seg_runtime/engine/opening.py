"""Open a model with ONNX Runtime on exactly one provider, or raise an error that says why this fails and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..support import ModelError, ProviderError
from .cache import Source, key, open_cached
from .installation import REINSTALL, quiet, runtime_module, wheels
from .options import RunOptions
from .providers import Cpu, Provider, candidates

_REFUSED = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NotImplemented")  # errors about the model on any provider


def check_wheels(provider: str) -> str:
    """Return a note if two ONNX Runtime wheels are installed in one environment, else an empty string.

    Raises:
        ProviderError: two wheels are installed, and the requested provider is in only one of them. One wheel overwrites
            files of the other, so the provider may be missing.
    """
    kinds, found = candidates(provider), wheels()
    if len(found) < 2:
        return ""
    both = " and ".join(f"{name} {version}" for name, version in found.items())
    if len(kinds) == 1 and kinds[0].extra:
        raise ProviderError(f"{both} are installed in one environment", "exactly one of them", REINSTALL)
    return f"{both} are installed in one environment and overwrite each other: {REINSTALL}"


def open_on(
    provider: Provider, model: Source, sha256: str = "", check_unchanged: Callable[[], None] = lambda: None
) -> Any:
    """Return an `onnxruntime.InferenceSession` on a provider, after `Provider.settle`.

    Args:
        provider: the provider and its options.
        model: content or path of an ONNX file.
        sha256: digest of the model for the cache of optimized models; if empty, no cache is used.
        check_unchanged: raises ModelError if the file at the path no longer has this digest; called by the cache.

    Raises:
        ProviderError: the provider is not available.
        ModelError: ONNX Runtime cannot load the model.
    """
    ort = runtime_module()
    if not provider.installed(ort):
        built = ", ".join(wheels()) or "onnxruntime"
        raise provider.unavailable(ort, f"the installed wheel ({built}) is built without it")

    def create(source: Source, change: Callable[[Any], None]) -> Any:
        return _create(ort, provider, source, change)

    provider.preload(ort)
    folder = provider.options.tuning.cache if "cache" in provider.takes else None
    try:
        if folder is None or not sha256:
            session = create(model, lambda options: None)
        else:
            session = open_cached(folder, key(sha256, ort), ort, model, create, check_unchanged)
    except ProviderError:  # its libraries may already have read the process-wide settings
        provider.started()
        raise
    if session.get_providers()[0] != provider.ort_name:  # ONNX Runtime fell back to the CPU
        raise provider.unavailable(ort, provider.missing(ort))
    provider.started()
    return session


def open_graph(model: bytes, *, threads: int | None = None, optimize: bool = True) -> Any:
    """Return an `onnxruntime.InferenceSession` on the CPU for any graph in memory, configured as for model files.

    Args:
        model: a serialized ONNX model.
        threads: number of threads of the operators; None uses all threads available to this process.
        optimize: let ONNX Runtime fuse operators; if false, each operator is computed as ONNX defines it.

    Raises:
        ModelError: ONNX Runtime cannot load the model.
    """
    ort = runtime_module()

    def change(options: Any) -> None:
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL

    return _create(ort, Cpu(RunOptions(provider=Cpu.name, threads=threads)), model, change)


def _create(ort: Any, provider: Provider, model: Source, change: Callable[[Any], None]) -> Any:
    options = provider.session_options(ort)
    try:
        change(options)
        # with fallback, a session whose provider fails at start or during a run would repeat the work on the CPU
        with quiet(ort):
            session = ort.InferenceSession(model, options, providers=provider.chain(), enable_fallback=0)
    except Exception as error:  # ONNX Runtime's many exception classes have no common base class
        if provider.universal or type(error).__name__ in _REFUSED:
            problem = f"ONNX Runtime {ort.__version__} cannot load the model ({error})"
            raise ModelError(problem, "", "export it again") from error
        raise ProviderError(f"{provider.label} failed to start ({error})", "", provider.fix(ort)) from error
    session.disable_fallback()  # for versions without the argument
    session._model_bytes = None  # the whole file, which ONNX Runtime would keep for a fallback
    return session


def placement(session: Any) -> dict[str, int] | None:
    """Return the number of nodes on each execution provider; None if ONNX Runtime is too old to report it."""
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):
        return None
    counts: dict[str, int] = {}
    for subgraph in subgraphs:
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts or None
