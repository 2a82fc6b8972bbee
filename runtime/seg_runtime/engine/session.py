"""model.onnx -> Session: its contract, and windows -> logits, or whole images -> labels where the file is host-ready."""

from __future__ import annotations

import ctypes
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model import PROBE_PACE, Content, Contract, ModelFile
from ..pipeline import Array, Float
from ..support import ModelError, ProviderError
from .binding import FixedBuffers
from .installation import runtime_module, runtime_versions
from .opening import check_wheels, open_on, placement
from .options import RunOptions
from .providers import Provider, candidates
from .source import ModelSource

if TYPE_CHECKING:
    from ..model import Golden


class Session:
    """One loaded model on one execution provider. Thread-safe: ONNX Runtime's `run` is.

    Attributes:
        contract: read from the file's metadata.
        options: asked for.
        provider: the one in use.
        provider_reason: why `auto` did not take CUDA, empty otherwise.
        sha256: of the file that ONNX Runtime was given.
        golden: samples for the self-test, None unless asked for.
    """

    provider: Provider
    _fixed: FixedBuffers | None

    def __init__(self, model: str | Path | bytes | ModelFile, options: RunOptions = RunOptions()) -> None:  # noqa: B008 - frozen
        """Load a model.

        Args:
            model: path of an ONNX file, its content, or a file that is being read.
            options: of the run. With `self_test` the file's golden samples are kept, and ONNX Runtime notes which provider
                gets which node. With `require_signature` no cache is used.

        Raises:
            ModelError: the file cannot be read, is damaged, not signed as required, or is not an ONNX model of the contract's shape.
            ContractError: the file carries no contract or one this version cannot follow.
            ProviderError: the provider cannot be had, or what was asked for contradicts what is settled in this process.
        """
        self._start = time.perf_counter()
        self.options, self.provider_reason = options, ""
        self.ms: dict[str, float] = {}
        reading = model if isinstance(model, ModelFile) else ModelFile(model)
        check_wheels(options.provider)
        runtime_module()
        content = reading.take()
        if options.require_signature is not None:
            content.check_signed(options.require_signature)
        self.sha256 = content.sha256
        self.contract = content.contract
        self.golden = _golden(content, self.contract) if options.self_test else None
        source = ModelSource.of(content, signed=options.require_signature is not None)
        del content, reading  # the file's bytes must not lie beside ONNX Runtime's own copies of them
        self._open(source)
        _give_back_memory()

    def _open(self, source: ModelSource) -> None:
        """Open the model on the provider asked for; `auto` takes the first that works."""
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
        """Open the model on one provider, and run it once where that tells whether the provider works."""
        self.provider = provider
        sha256 = "" if source.signed else self.sha256
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
            # a graph that cannot be recorded is given up, the provider is not; another reason is raised again
            self._open_on(type(provider)(_without_graph(provider.options), half=provider.half), source)

    def _prove(self) -> None:
        """Run once."""
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
        """Nodes on each execution provider, None when not asked for or when ONNX Runtime cannot tell."""
        return placement(self._session)

    def facts(self) -> dict[str, dict[str, Any]]:
        """What a machine reads about what computes an answer: the model, the provider, and versions."""
        file, asked = self.contract.file, self.options
        return {
            "model": {"sha256": self.sha256, "form": file.kind, "precision": file.precision},
            "provider": {"asked": asked.provider, "used": self.provider.name, "fast_math": asked.fast_math},
            "versions": runtime_versions(self.runtime_version),
        }

    def run(self, windows: Float) -> Float:
        """Logits `(n, K, *output_shape)` float32 of `n` windows `(n, C, *input_shape)` float32.

        The file always takes as many as its contract's `batch` says: zeros fill it up to that, and their answers are dropped.

        Args:
            windows: 1 up to that many.

        Raises:
            ModelError: ONNX Runtime fails in the middle, for want of memory for example.
        """
        count = len(windows)
        if (missing := self.contract.file.batch - count) > 0:
            windows = np.concatenate([windows, np.zeros((missing, *windows.shape[1:]), np.float32)])
        logits: Float = self._run(["logits"], windows)[0]
        return logits[:count]

    @property
    def cuda_graph(self) -> bool:
        """Whether windows are replayed from a CUDA graph."""
        return self._fixed is not None

    def take_ms(self) -> dict[str, float]:
        """Milliseconds of `load` and `warm_up` that no record has yet, and forget them."""
        ms, self.ms = self.ms, {}
        return ms

    def run_image(self, image: Array, probabilities: bool = False) -> list[Array]:
        """Labels `(H, W)` uint8, and `(K, H, W)` float32 probabilities if asked for, of a whole image by a host-ready file.

        Args:
            image: `(H, W, C)` of the file's dtype.
            probabilities: the file must have that output, see `has_probabilities`.

        Raises:
            ModelError: ONNX Runtime fails in the middle.
        """
        return self._run(["labels", "probabilities"] if probabilities else ["labels"], np.ascontiguousarray(image))

    def run_probe(self, image: Array) -> tuple[NDArray[np.uint8], Float]:
        """Labels `(H, W)` of an image of one window by a host-ready file, and its probe: every 16th logit `(K, h, w)`."""
        labels, probe = self._run(["labels", "probe"], np.ascontiguousarray(image))
        return labels, probe[0]

    @property
    def has_probabilities(self) -> bool:
        """Whether a host-ready file gives probabilities, too."""
        return "probabilities" in [v.name for v in self._session.get_outputs()]

    def _run(self, outputs: list[str], image: Array) -> list[Array]:
        try:
            if self._fixed is not None:
                return [self._fixed.run(image)]
            return list(self._session.run(outputs, {"image": image}, self._run_options))
        except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
            raise ModelError(
                f"ONNX Runtime failed while running the model ({error})", "", "free memory, or use --provider cpu"
            ) from error

    def warm_up(self) -> None:
        """Run zeros through it, so that the first image does not pay for allocations and kernel choice."""
        c, start = self.contract, time.perf_counter()
        if c.file.whole_images:
            self.run_image(np.zeros((1, 1, c.input.channels), c.file.dtype))
        else:
            self.run(np.zeros((c.file.batch, c.input.channels, *c.geometry.input_shape), np.float32))
        self.ms["warm_up"] = self.ms.get("warm_up", 0.0) + (time.perf_counter() - start) * 1000

    def _check_shapes(self, name: str) -> None:
        wanted = _values(self.contract)
        given = {v.name: (v.type, [n if isinstance(n, int) else None for n in v.shape]) for v in self._ports()}
        if "probabilities" not in given:  # a host-ready file may go without
            wanted.pop("probabilities", None)
        if given != wanted:
            raise ModelError(
                f"{name} has inputs and outputs {given}", f"{wanted} as its contract says", "export it again"
            )

    def _ports(self) -> list[Any]:
        return [*self._session.get_inputs(), *self._session.get_outputs()]


def _values(c: Contract) -> dict[str, tuple[str, list[int | None]]]:
    """Inputs and outputs of a file with this contract: ONNX type and shape, None for what differs from run to run."""
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
        "labels": ("tensor(uint8)", any_size),
        "probe": (floats, [None, maps, *(-(-n // PROBE_PACE) for n in c.geometry.output_shape)]),
        "probabilities": (floats, [maps, *any_size]),
    }


def _without_graph(options: RunOptions) -> RunOptions:
    return replace(options, tuning=replace(options.tuning, cuda_graph=False))


def _give_back_memory() -> None:
    """Let the C library return freed memory; nothing happens where it cannot.

    Loading leaves holes as large as the weights between what stays (glibc keeps them for later; measured: 110 MB of a 124 MB model).
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
        if trim is not None:
            trim(0)


def _golden(content: Content, contract: Contract) -> Golden:
    from ..model import GOLDEN_KEY, Golden  # only a self-test reads archives

    if GOLDEN_KEY not in content.onnx.metadata:
        raise ModelError(f"{content.name} carries no golden samples", "a file made by seg-export", "export it again")
    return Golden.from_text(content.onnx.metadata[GOLDEN_KEY], contract)
