"""A model opened by ONNX Runtime on exactly one provider, or an error that says why not and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..support import ModelError, ProviderError
from .cache import Source, key, open_cached
from .installation import REINSTALL, quiet, runtime_module, wheels
from .options import RunOptions
from .providers import Cpu, Provider, candidates

_REFUSED = ("InvalidProtobuf", "InvalidGraph", "NoModel", "NotImplemented")  # errors about the model, on any provider


def check_wheels(provider: str) -> str:
    """A note about two ONNX Runtime wheels in one environment, empty where there is one.

    Raises:
        ProviderError: two wheels and a provider asked for that only one of them has: one overwrote files of the other, so
            that it may have vanished.
    """
    kinds, found = candidates(provider), wheels()
    if len(found) < 2:
        return ""
    both = " and ".join(f"{name} {version}" for name, version in found.items())
    if len(kinds) == 1 and kinds[0].extra:
        raise ProviderError(f"{both} are installed in one environment", "exactly one", REINSTALL)
    return f"{both} are installed in one environment and overwrite each other: {REINSTALL}"


def open_on(
    provider: Provider, model: Source, sha256: str = "", check_unchanged: Callable[[], None] = lambda: None
) -> Any:
    """An `onnxruntime.InferenceSession` on a provider that is settled.

    Args:
        provider: with its options.
        model: content or path of an ONNX file.
        sha256: of the model, for the cache of optimised models; without it none is used.
        check_unchanged: raises ModelError where a path holds no longer what `sha256` is of; the cache asks.

    Raises:
        ProviderError: it cannot be had.
        ModelError: ONNX Runtime refuses the model.
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
    except ProviderError:  # it failed in its midst, and may have read before what was settled
        provider.started()
        raise
    if session.get_providers()[0] != provider.ort_name:  # ONNX Runtime itself goes on, on CPU
        raise provider.unavailable(ort, provider.missing(ort))
    provider.started()
    return session


def open_graph(model: bytes, *, threads: int | None = None, optimize: bool = True) -> Any:
    """An `onnxruntime.InferenceSession` on CPU of any graph in memory, set up as those of model files are.

    Args:
        model: a serialised ONNX model.
        threads: of the operators; None takes all that this process may use.
        optimize: let ONNX Runtime fuse operators; without it each is computed as ONNX defines it.

    Raises:
        ModelError: ONNX Runtime refuses the model.
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
        # without this, a session whose provider fails, at start or in the middle of a run, repeats the work on CPU
        with quiet(ort):
            session = ort.InferenceSession(model, options, providers=provider.chain(), enable_fallback=0)
    except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
        if provider.universal or type(error).__name__ in _REFUSED:
            problem = f"ONNX Runtime {ort.__version__} refuses the model ({error})"
            raise ModelError(problem, "", "export it again") from error
        raise ProviderError(f"{provider.label} failed to start ({error})", "", provider.fix(ort)) from error
    session.disable_fallback()  # versions that do not know the argument know this
    session._model_bytes = None  # kept by ONNX Runtime for a fallback that is off: the whole file, in memory for good
    return session


def placement(session: Any) -> dict[str, int] | None:
    """Nodes on each execution provider; None where ONNX Runtime is too old to say."""
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):
        return None
    counts: dict[str, int] = {}
    for subgraph in subgraphs:
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts or None
