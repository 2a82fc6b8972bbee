"""A loaded model: windows -> logits, or images -> labels or planes, part by part, if the file is host-ready."""

from __future__ import annotations

import ctypes
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..model import PROBE_PACE, Content, Contract, Geometry, ModelFile
from ..pipeline import Array, Float, Grid, Progress
from ..support import ModelError, ProviderError, now
from .binding import FixedBuffers
from .installation import runtime_module, runtime_versions
from .opening import check_wheels, open_on, placement
from .options import RunOptions
from .providers import Provider, candidates
from .source import ModelSource

if TYPE_CHECKING:
    from ..model import Golden

T = TypeVar("T")


class Session:
    """One loaded model on one execution provider. Thread-safe: ONNX Runtime's `run` is.

    Attributes:
        contract: contract in the file's metadata.
        options: requested options.
        provider: provider in use.
        provider_reason: why `auto` did not choose CUDA; otherwise empty.
        sha256: digest of the file that ONNX Runtime has loaded.
        trust: what the file was checked for.
        golden: samples for the self-test; None unless requested.
    """

    provider: Provider
    _fixed: FixedBuffers | None

    def __init__(self, model: str | Path | bytes | ModelFile, options: RunOptions = RunOptions()) -> None:  # noqa: B008 - frozen
        """Load a model.

        Args:
            model: path of an ONNX file, its content, or a `ModelFile`.
            options: options of the run. With `self_test`, the golden samples of the file are kept, and ONNX Runtime
                records which provider runs each node. If a signature or a SHA-256 is required, no cache is used.

        Raises:
            ModelError: the file cannot be read, is damaged, is not as required, or does not match its contract.
            ContractError: the file has no contract, or one that this version does not support.
            ProviderError: the provider is not available, or its options conflict with process-wide settings.
            SegError: see `Requirements.check` and `support.now`.
        """
        self._start = time.perf_counter()
        self.options, self.provider_reason = options, ""
        self.ms: dict[str, float] = {}
        reading = model if isinstance(model, ModelFile) else ModelFile(model)
        check_wheels(options.provider)
        now()  # before the first image, since its record would fail with a wrong $SOURCE_DATE_EPOCH
        runtime_module()
        content = reading.take(options.require)
        self.trust = content.trust
        self.sha256 = content.sha256
        self.contract = content.contract
        self.golden = _golden(content, self.contract) if options.self_test else None
        source = ModelSource.of(content, exact=content.trust.exact)
        del content, reading  # free the file's bytes before ONNX Runtime makes its own copy
        self._open(source)
        _give_back_memory()

    def _open(self, source: ModelSource) -> None:
        """Open the model on the requested provider; `auto` uses the first one that works."""
        *_, last = kinds = candidates(self.options.provider)
        windows = not self.contract.file.whole_images
        options = self.options if windows else _without_graph(self.options)
        for kind in kinds:
            provider = kind(options, half=self.contract.file.precision == "fp16")
            provider.settle(runtime_module())
            try:
                return self._open_on(provider, source)
            except ProviderError as error:
                if kind is last:
                    raise
                self.provider_reason = (
                    f"no {kind.label}: {error.problem.removeprefix(f'{kind.label} cannot be used: ')}"
                )

    def _open_on(self, provider: Provider, source: ModelSource) -> None:
        """Open the model on one provider, and run it once if only that shows whether the provider works."""
        self.provider = provider
        sha256 = "" if source.exact else self.sha256
        try:
            self._session = open_on(provider, source.model, sha256, source.check_unchanged)
            source.check_unchanged()
            self._check_shapes(source.name)
            self._run_options = provider.run_options(runtime_module())
            self._fixed = None
            if provider.cuda_graph:
                self._fixed = FixedBuffers(runtime_module(), self._session, self.contract, provider.device)
            self.ms["load"] = (time.perf_counter() - self._start) * 1000
            if provider.first_run:
                self._prove()
        except ProviderError:
            if not provider.cuda_graph:
                raise
            # retry without the CUDA graph, which may not be recordable; if the cause is another, this raises again
            self._open_on(type(provider)(_without_graph(provider.options), half=provider.half), source)

    def _prove(self) -> None:
        """Run the model once to check that the provider works."""
        try:
            self.warm_up()
        except ModelError as error:
            problem = f"{self.provider.name} loads but cannot run the model ({error})"
            raise ProviderError(problem, "", "use --provider cpu") from error

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime in use."""
        return str(runtime_module().__version__)

    @property
    def placement(self) -> dict[str, int] | None:
        """Number of nodes on each execution provider; None if not recorded or not reported by ONNX Runtime."""
        return placement(self._session)

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the facts about the model, the provider, the versions and this run for records."""
        file, asked, trust, identity = self.contract.file, self.options, self.trust, self.contract.identity
        return {
            "model": {
                "name": identity.name,
                "version": identity.version,
                "sha256": self.sha256,
                "signature": {"verified": bool(trust.key_sha256), "key_sha256": trust.key_sha256},
                "required": {"run": list(trust.run), "machine": list(trust.machine)},
                "form": file.kind,
                "precision": file.precision,
            },
            "provider": {"asked": asked.provider, "used": self.provider.name, "fast_math": asked.fast_math},
            "versions": runtime_versions(self.runtime_version),
            "run": {"time": now().isoformat(), "host": platform.node()},
        }

    def run(self, windows: Float) -> Float:
        """Return the logits `(n, K, *output_shape)` float32 of `n` windows `(n, C, *input_shape)` float32.

        The file always takes `batch` windows, see the contract: missing windows are zeros, and their logits are
        dropped.

        Args:
            windows: 1 to `batch` windows.

        Raises:
            ModelError: ONNX Runtime fails during the run, for example because it runs out of memory.
        """
        count = len(windows)
        if (missing := self.contract.file.batch - count) > 0:
            windows = np.concatenate([windows, np.zeros((missing, *windows.shape[1:]), np.float32)])
        fixed, feeds = self._fixed, {"image": windows}
        logits: Float = _attempt(
            lambda: fixed.run(windows) if fixed else self._session.run(["logits"], feeds, self._run_options)[0]
        )
        return logits[:count]

    @property
    def cuda_graph(self) -> bool:
        """Whether windows are replayed from a CUDA graph."""
        return self._fixed is not None

    def take_ms(self) -> dict[str, float]:
        """Return the milliseconds of `load` and `warm_up` that are in no record yet, and reset them."""
        ms, self.ms = self.ms, {}
        return ms

    def run_image(self, image: Array, probabilities: bool = False, progress: Progress | None = None) -> list[Array]:
        """Run a host-ready file on all windows of an image; return the stitched results `(…, H, W)` uint8, see
        `AnswerSpec.result_axes`, and, if requested, probabilities.

        Args:
            image: `(H, W, C)` of the file's dtype.
            probabilities: also return `(K, H, W)` float32; the file must have this output, see `has_probabilities`.
            progress: called after each window with the number of windows done and their total; may raise an exception to
                end the run.

        Raises:
            ModelError: ONNX Runtime fails during the run, or an output has the wrong shape or values.
        """
        spec, size = self.contract.answer, image.shape[:-1]
        maps, outputs = spec.maps, ["next_origin", "next_statistics", spec.result_name]
        found: list[Array] = [np.zeros((*spec.result_axes, *size), np.uint8)]
        if probabilities:
            outputs.append("probabilities")
            found.append(np.zeros((maps, *size), np.float32))
        feeds, places = self._first_feeds(image), _places(size, self.contract.geometry)
        for number, place in enumerate(places, 1):
            feeds["origin"], feeds["statistics"], *results = self._run_values(outputs, feeds)
            shape = tuple(part.stop - part.start for part in place)
            parts = [value.numpy() for value in results]
            _check_output(spec.result_name, parts[0], (*spec.result_axes, *shape), spec.holds(parts[0]))
            for scores in parts[1:]:
                _check_output("probabilities", scores, (maps, *shape), bool(((scores >= 0) & (scores <= 1)).all()))
            target: tuple[Any, ...] = (..., *place)
            for whole, part in zip(found, parts, strict=True):
                whole[target] = part
            following = [part.start for part in places[number]] if number < len(places) else [-1, -1]
            origin = feeds["origin"].numpy()
            _check_output("next_origin", origin, (2,), origin.tolist() == following)
            if progress:
                progress(number, len(places))
        return found

    def run_probe(self, image: Array) -> tuple[NDArray[np.uint8], Float]:
        """Run a host-ready file on an image of one window; return its result `(…, H, W)` and its probe, every 16th logit
        `(K, h, w)`."""
        spec = self.contract.answer
        values = self._run_values([spec.result_name, "probe"], self._first_feeds(image))
        result, probe = (value.numpy() for value in values)
        _check_output(spec.result_name, result, (*spec.result_axes, *image.shape[:-1]), True)
        coarse = tuple(-(-n // PROBE_PACE) for n in self.contract.geometry.output_shape)
        _check_output("probe", probe, (1, spec.maps, *coarse), True)
        return result, probe[0]

    def _first_feeds(self, image: Array) -> dict[str, Any]:
        """Return the inputs of the first window as OrtValues, so that a GPU receives the image once for all windows."""
        value = runtime_module().OrtValue.ortvalue_from_numpy
        return {
            "image": _attempt(lambda: value(np.ascontiguousarray(image), self.provider.device, 0)),
            "origin": value(np.zeros(2, np.int64)),
            "statistics": value(np.empty((0, self.contract.input.channels), np.float32)),
        }

    def _run_values(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        return _attempt(lambda: list(self._session.run_with_ort_values(outputs, feeds, self._run_options)))

    @property
    def has_probabilities(self) -> bool:
        """Whether a host-ready file has a probability output."""
        return "probabilities" in [v.name for v in self._session.get_outputs()]

    def warm_up(self) -> None:
        """Run zeros, so that the first image is not slowed down by allocations and kernel selection."""
        c, start = self.contract, time.perf_counter()
        if c.file.whole_images:
            self.run_image(np.zeros((1, 1, c.input.channels), c.file.dtype))
        else:
            self.run(np.zeros((c.file.batch, c.input.channels, *c.geometry.input_shape), np.float32))
        self.ms["warm_up"] = self.ms.get("warm_up", 0.0) + (time.perf_counter() - start) * 1000

    def _check_shapes(self, name: str) -> None:
        expected = _values(self.contract)
        given = {v.name: (v.type, [n if isinstance(n, int) else None for n in v.shape]) for v in self._ports()}
        if "probabilities" not in given:  # optional in a host-ready file
            expected.pop("probabilities", None)
        if given != expected:
            problem = f"{name} has the inputs and outputs {given}"
            raise ModelError(problem, f"{expected}, as its contract states", "export it again")

    def _ports(self) -> list[Any]:
        return [*self._session.get_inputs(), *self._session.get_outputs()]


def _values(c: Contract) -> dict[str, tuple[str, list[int | None]]]:
    """Return the ONNX type and shape of the inputs and outputs of a file with this contract; None for dynamic sizes."""
    floats, maps = "tensor(float)", c.answer.maps
    if not c.file.whole_images:
        return {
            "image": (floats, [c.file.batch, c.input.channels, *c.geometry.input_shape]),
            "logits": (floats, [c.file.batch, maps, *c.geometry.output_shape]),
        }
    dtype = floats if c.file.dtype == "float32" else f"tensor({c.file.dtype})"
    any_size: list[int | None] = [None] * len(c.geometry.input_shape)
    return {
        "image": (dtype, [*any_size, c.input.channels]),
        "origin": ("tensor(int64)", [2]),
        "statistics": (floats, [None, c.input.channels]),
        c.answer.result_name: ("tensor(uint8)", [*c.answer.result_axes, *any_size]),
        "next_origin": ("tensor(int64)", [2]),
        "next_statistics": (floats, [2, c.input.channels]),
        "progress": ("tensor(int64)", [2]),
        "probe": (floats, [1, maps, *(-(-n // PROBE_PACE) for n in c.geometry.output_shape)]),
        "probabilities": (floats, [maps, *any_size]),
    }


def _places(size: tuple[int, ...], geometry: Geometry) -> list[tuple[slice, ...]]:
    """Return the parts of an image of this size that the windows of a host-ready file give, in its order."""
    if geometry.method != "tile":  # an image is one window
        return [tuple(slice(0, n) for n in size)]
    grid = Grid.of(size, geometry)
    return [grid.core(origin)[0] for origin in grid.origins()]


def _attempt(action: Callable[[], T]) -> T:
    """Return the result of a run of ONNX Runtime, whose many exception classes have no common base class."""
    try:
        return action()
    except Exception as error:
        problem = f"ONNX Runtime failed while running the model ({error})"
        raise ModelError(problem, "", "free memory, or use --provider cpu") from error


def _check_output(name: str, found: Array, shape: tuple[int, ...], in_range: bool) -> None:
    """Raise ModelError if an output of a host-ready file, whose sizes are dynamic, does not fit the image."""
    if found.shape != shape or not in_range:
        problem = (
            f"the model's output {name} has the shape {found.shape}"
            if in_range
            else f"the output {name} has foreign values"
        )
        raise ModelError(
            problem, f"{shape}, the size of its part of the image" if in_range else "", "export the model again"
        )


def _without_graph(options: RunOptions) -> RunOptions:
    return replace(options, tuning=replace(options.tuning, cuda_graph=False))


def _give_back_memory() -> None:
    """Return freed memory to the system, if the C library supports it.

    Loading leaves unused memory about as large as the weights (measured: 110 MB for a 124 MB model), which glibc would
    keep.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # in glibc, not in musl
        if trim is not None:
            trim(0)


def _golden(content: Content, contract: Contract) -> Golden:
    from ..model import GOLDEN_KEY, Golden  # imported only for a self-test

    if GOLDEN_KEY not in content.onnx.metadata:
        raise ModelError(f"{content.name} has no golden samples", "a file made by seg-export", "export it again")
    return Golden.from_text(content.onnx.metadata[GOLDEN_KEY], contract)
