"""One execution provider asked for, that provider got, or an error that says why and what to do."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.errors import ModelError, ProviderError, SegError
from .cache import Source, key, open_cached
from .hardware import available_threads as available_threads
from .tuning import ORT_NAMES, Setup, note_started, provider_chain, session_options, settle_tf32

PROVIDERS = ("auto", *ORT_NAMES)


def runtime_module() -> Any:
    """The imported `onnxruntime`.

    Raises:
        ProviderError: no ONNX Runtime wheel is installed, or it cannot be imported.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(
            f"ONNX Runtime cannot be imported ({error})",
            "one of its wheels",
            "pip install 'seg-edge[cpu]' or 'seg-edge[gpu]'",
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):  # an uninstalled wheel leaves an empty folder behind
        raise ProviderError("the onnxruntime package is incomplete", "one whole wheel", _REINSTALL)
    return onnxruntime


_UNINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-openvino"
_REINSTALL = f"{_UNINSTALL}, then pip install 'seg-edge[gpu]' (or [cpu], or [openvino])"
_EXTRAS = {"cuda": "gpu", "tensorrt": "gpu", "openvino": "openvino"}
_WORDS = {"cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO"}


def wheels() -> dict[str, str]:
    """Installed distributions that own the folder `onnxruntime`, with their versions, by their `.dist-info` folders."""
    found: dict[str, str] = {}
    for place in sys.path:  # importlib.metadata says the same and costs each start 15 ms
        with contextlib.suppress(OSError):  # of paths that are no folder
            for match in filter(None, map(_WHEEL.fullmatch, sorted(os.listdir(place or ".")))):  # noqa: PTH208
                found.setdefault(match[1].replace("_", "-"), match[2])
    return dict(sorted(found.items()))


_WHEEL = re.compile(r"(onnxruntime(?:_gpu|_directml|_openvino)?)-([^-]+)\.dist-info")


def check_wheels(provider: str) -> str:
    """A note about two ONNX Runtime wheels in one environment, empty where there is one.

    Raises:
        ProviderError: two wheels and another provider than the CPU asked for: one overwrote files of the other, so that
            it may have vanished.
    """
    found = wheels()
    if len(found) < 2:
        return ""
    both = " and ".join(f"{name} {version}" for name, version in found.items())
    if provider in _EXTRAS:
        raise ProviderError(f"{both} are installed in one environment", "exactly one", _REINSTALL)
    return f"{both} are installed in one environment and overwrite each other: {_REINSTALL}"


@dataclass(frozen=True)
class Opened:
    """An ONNX Runtime session, the provider it got, and why `auto` did not take CUDA (empty where it did)."""

    session: Any
    provider: str
    reason: str = ""


def open_session(
    model: Source, setup: Setup, sha256: str = "", check_unchanged: Callable[[], None] = lambda: None
) -> Opened:
    """An ONNX Runtime session on exactly the provider asked for.

    Args:
        model: content or path of an ONNX file.
        setup: the provider and all else; `auto` takes CUDA when it really loads, else CPU.
        sha256: of the model, for the cache of optimised models; without it none is used.
        check_unchanged: raises ModelError where a path holds no longer what `sha256` is of; the cache asks.

    Raises:
        ProviderError: unknown provider, one asked for and not to be had, or a contradiction about TF32 in this process.
        ModelError: ONNX Runtime refuses the model.
    """
    asked = setup.provider
    if asked not in PROVIDERS:
        raise ProviderError(f"provider {asked!r}", " or ".join(PROVIDERS), "choose one of them")
    if setup.threads is not None and setup.threads < 1:
        raise SegError(f"{setup.threads} threads", "1 or more", "leave it out to use all that this process may use")
    check_wheels(asked)
    ort = runtime_module()
    if asked == "cpu":
        return Opened(_on_cpu(ort, model, setup, sha256, check_unchanged), "cpu")
    wanted = "cuda" if asked == "auto" else asked
    if _listed(ort, wanted):
        settle_tf32(wanted, setup)  # before any of its libraries is loaded
    try:
        return Opened(_on(ort, model, setup, wanted), wanted)
    except ProviderError as error:
        if asked != "auto":
            raise
        reason = f"no CUDA: {error.came.removeprefix('CUDA cannot be used: ')}"
        return Opened(_on_cpu(ort, model, setup, sha256, check_unchanged), "cpu", reason)


def _on(ort: Any, model: Source, setup: Setup, provider: str) -> Any:
    """A session on one of the providers that may be missing; ProviderError says what is."""
    word, problem = (
        _WORDS[provider],
        f"the installed wheel ({', '.join(wheels()) or 'onnxruntime'}) is built without it",
    )
    if _listed(ort, provider):
        if provider != "openvino" and hasattr(ort, "preload_dlls"):
            _quiet_preload(ort)
        try:
            session = _create(ort, model, setup, provider)
        except ProviderError:  # it failed in its midst, and may have read the switch before
            note_started(provider, setup)
            raise
        if session.get_providers()[0] == ORT_NAMES[provider]:
            note_started(provider, setup)
            return session
        problem = _missing_library(ort, provider)  # ONNX Runtime itself goes on, on CPU
    raise ProviderError(f"{word} cannot be used: {problem}", "", _fix(ort, provider))


def _on_cpu(ort: Any, model: Source, setup: Setup, sha256: str, check_unchanged: Callable[[], None]) -> Any:
    def create(source: Source, change: Callable[[Any], None]) -> Any:
        return _create(ort, source, setup, "cpu", change)

    if setup.tuning.cache is None or not sha256:
        return create(model, lambda options: None)
    return open_cached(setup.tuning.cache, key(sha256, ort), ort, model, create, check_unchanged)


def placement(session: Any) -> dict[str, int] | None:
    """Nodes on each execution provider; None where ONNX Runtime is too old to tell."""
    try:
        subgraphs = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError):
        return None
    counts: dict[str, int] = {}
    for subgraph in subgraphs:
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts or None


def _create(
    ort: Any, model: Source, setup: Setup, provider: str, change: Callable[[Any], None] = lambda options: None
) -> Any:
    options = session_options(ort, setup, provider)
    try:
        change(options)
        # without this, a session whose provider fails, at start or in the middle of a run, repeats the work on CPU
        with quiet(ort):
            session = ort.InferenceSession(model, options, providers=provider_chain(provider, setup), enable_fallback=0)
    except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
        if (
            type(error).__name__ in ("InvalidProtobuf", "InvalidGraph", "NoModel", "NotImplemented")
            or provider == "cpu"
        ):
            raise ModelError(
                f"ONNX Runtime {ort.__version__} refuses the model ({error})", "", "export it again"
            ) from error
        raise ProviderError(f"{_WORDS[provider]} failed to start ({error})", "", _fix(ort, provider)) from error
    session.disable_fallback()  # versions that do not know the argument know this
    session._model_bytes = None  # kept by ONNX Runtime for a fallback that is off: the whole file, in memory for good
    return session


@contextlib.contextmanager
def quiet(ort: Any) -> Iterator[None]:
    """Keep ONNX Runtime's own lines off the screen: a library that does not load is told by us, in one line."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default, warnings


def _listed(ort: Any, provider: str) -> bool:
    return ORT_NAMES[provider] in ort.get_available_providers()


def _missing_library(ort: Any, provider: str) -> str:
    """Why a provider did not load, by the name of the first missing library."""
    import ctypes

    folder = Path(ort.__file__).parent / "capi"
    names = ("*onnxruntime_providers_shared*", f"*providers_{provider}*")
    for library in [path for name in names for path in sorted(folder.glob(name))]:
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            return str(error)
    return f"it was refused at start{'' if provider == 'openvino' else ': no usable GPU or driver'}"


def _quiet_preload(ort: Any) -> None:
    """Load CUDA and cuDNN from the nvidia wheels, where installed; ONNX Runtime prints what it misses to stdout."""
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()


def _fix(ort: Any, provider: str) -> str:
    if not _listed(ort, provider):
        return f"{_UNINSTALL}, then pip install 'seg-edge[{_EXTRAS[provider]}]'; or use --provider cpu"
    if provider == "openvino":
        return "pip install --force-reinstall onnxruntime-openvino; or use --provider cpu"
    major = str(getattr(ort, "cuda_version", "") or "").split(".")[0]
    brings = " and TensorRT 10 (pip install tensorrt-cu12)" if provider == "tensorrt" else ""
    return (
        f"install an NVIDIA driver{f', CUDA {major}' if major else ''} and cuDNN 9"
        f" (pip install 'onnxruntime-gpu[cuda,cudnn]' brings both libraries){brings}; or use --provider cpu"
    )
