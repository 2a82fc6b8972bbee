"""model.onnx -> Session: its contract, and windows -> logits, or whole images -> labels where the file is host-ready."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.contract import Contract, HostReadyFile
from ..model.limits import PROBE_PACE
from ..model.modelfile import Content, ModelFile, Stamp, stamp
from ..pipeline import Array, Float
from ..support.errors import ModelError, ProviderError
from .binding import FixedBuffers
from .cache import Source
from .memory import give_back_memory
from .providers import open_session, placement, runtime_module
from .tuning import Setup, Tuning, run_options

if TYPE_CHECKING:
    from ..model.golden import Golden


class Session:
    """One loaded model on one execution provider. Thread-safe: ONNX Runtime's `run` is.

    Attributes:
        contract: read from the file's metadata.
        provider: the one in use, `cpu`, `cuda`, `tensorrt` or `openvino`.
        provider_asked: the one asked for.
        fast_math: whether TF32 was allowed.
        provider_reason: why `auto` did not take CUDA, empty otherwise.
        sha256: of the file that ONNX Runtime was given.
        golden: samples for the self-test, None unless asked for.
    """

    def __init__(
        self,
        model: str | Path | bytes | ModelFile,
        provider: str = "auto",
        threads: int | None = None,
        fast_math: bool = False,
        self_test: bool = False,
        require_signature: str | Path | None = None,
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
    ) -> None:
        """Load a model.

        Args:
            model: path of an ONNX file, its content, or a file that is being read.
            provider: `auto`, `cpu`, `cuda`, `tensorrt` or `openvino`; what is asked for is what is used, or an error.
            threads: for operators on CPU; None takes all that this process may use.
            fast_math: allow TF32 on CUDA.
            self_test: keep the file's golden samples, and note which provider gets which node.
            require_signature: PEM file of a public key; see `signature.py`. No cache is used then.
            tuning: of speed and memory.

        Raises:
            ModelError: the file cannot be read, is damaged, not signed as required, or is not an ONNX model of the contract's shape.
            ContractError: the file carries no contract or one this version cannot follow.
            ProviderError: the provider cannot be had.
        """
        start = time.perf_counter()
        self.provider_asked, self.fast_math = provider, fast_math
        reading = model if isinstance(model, ModelFile) else ModelFile(model)
        runtime_module()
        content = reading.take()
        signed = require_signature is not None
        if require_signature is not None:
            check_signed(content, require_signature)
        self.sha256 = content.sha256
        self.contract = content.contract
        self.golden = _golden(content, self.contract) if self_test else None
        half = self.contract.file.precision == "fp16"
        noted = self_test or provider != "cpu"  # which provider gets which node
        self._setup = Setup(provider, threads, fast_math, noted, half, tuning)
        source = _Source.of(content, keep=signed)
        del content, reading  # the file's bytes must not lie beside ONNX Runtime's own copies of them
        self._take(source)
        self._check_shapes(source.name)
        self.ms = {"load": (time.perf_counter() - start) * 1000}
        if self.provider in ("cuda", "tensorrt"):
            self._prove_gpu(source)
        give_back_memory()

    def _take(self, source: _Source) -> None:
        """Open the model."""
        sha256 = "" if source.signed else self.sha256
        try:
            opened = open_session(source.model, self._setup, sha256, source.check_unchanged)
        except ProviderError:
            if not self._setup.tuning.cuda_graph:
                raise
            self._drop_graph()  # the reason may be another one: then it is told now
            opened = open_session(source.model, self._setup, sha256, source.check_unchanged)
        source.check_unchanged()
        self._session, self.provider, self.provider_reason = opened.session, opened.provider, opened.reason
        self._run_options = run_options(runtime_module(), self._setup, self.provider)
        wanted = self._setup.tuning.cuda_graph and self.provider == "cuda" and self.contract.file.kind == "window"
        self._fixed = FixedBuffers(runtime_module(), self._session, self.contract) if wanted else None

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime in use."""
        return str(runtime_module().__version__)

    @property
    def placement(self) -> dict[str, int] | None:
        """Nodes on each execution provider, None when not asked for or when ONNX Runtime cannot tell."""
        return placement(self._session)

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
        """Milliseconds of `load` and `warm_up` that no record has told yet; told once."""
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
        if isinstance(c.file, HostReadyFile):
            self.run_image(np.zeros((1, 1, c.input.channels), c.file.dtype))
        else:
            self.run(np.zeros((c.file.batch, c.input.channels, *c.geometry.input_shape), np.float32))
        self.ms["warm_up"] = self.ms.get("warm_up", 0.0) + (time.perf_counter() - start) * 1000

    def _prove_gpu(self, source: _Source) -> None:
        """Run once: a driver may load and yet have no kernels for this card. The first run is the slow one, too."""
        try:
            self.warm_up()
        except ModelError as error:
            if self._fixed is not None:  # a graph that cannot be recorded is given up, CUDA is not
                self._drop_graph()
                self._take(source)
                return self._prove_gpu(source)
            if self.provider_asked != "auto":
                came = f"{self.provider_asked} loads but cannot run the model ({error})"
                raise ProviderError(came, "", "use --provider cpu") from error
            self._setup = replace(self._setup, provider="cpu")
            self._take(source)
            self.provider_reason = f"no CUDA: {error}"

    def _drop_graph(self) -> None:
        self._setup = replace(self._setup, tuning=replace(self._setup.tuning, cuda_graph=False))

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


def check_signed(content: Content, public_key: str | Path) -> None:
    """Refuse a model that the file beside it does not sign with this key; see `signature.py`.

    Raises:
        ModelError: no signature, that of another file, or a model without a file.
    """
    if content.path is None:
        raise ModelError("a model without a file has no signature", "a path", "leave out require_signature")
    from ..model.signature import check_signature

    check_signature(content.path, content.sha256, Path(public_key))


@dataclass(frozen=True)
class _Source:
    """Where ONNX Runtime takes a model from that was read and digested."""

    name: str
    model: Source
    stamp: Stamp | None
    signed: bool

    @classmethod
    def of(cls, content: Content, keep: bool) -> _Source:
        """The file itself, which costs no copy of its bytes in memory; the bytes where there is none, or if they are to be kept.

        Args:
            content: of the model.
            keep: nothing but the bytes that were signed will do.
        """
        if keep or content.stamp is None or content.path is None or not _named_for_onnxruntime(content.path):
            return cls(content.name, content.data, None, keep)
        return cls(content.name, content.path, content.stamp, keep)

    def check_unchanged(self) -> None:
        """Refuse a file that was written to after it was digested; ONNX Runtime may have read something else."""
        if self.stamp is None or not isinstance(self.model, Path):
            return
        try:
            now = stamp(self.model)
        except OSError:
            now = None
        if now != self.stamp:
            raise ModelError(f"{self.name} changed while it was loaded", "a file that stays", "run it again")


def _named_for_onnxruntime(path: Path) -> bool:
    """Whether ONNX Runtime can open a path: it takes UTF-8 only, and what ends in .ort for another format."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return path.suffix.lower() != ".ort"


def _values(c: Contract) -> dict[str, tuple[str, list[int | None]]]:
    """Inputs and outputs of a file with this contract: ONNX type and shape, None for what differs from run to run."""
    floats, maps = "tensor(float)", c.answer.maps
    if not isinstance(c.file, HostReadyFile):
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


def _golden(content: Content, contract: Contract) -> Golden:
    from ..model import GOLDEN_KEY
    from ..model.golden import Golden  # only a self-test reads archives

    if GOLDEN_KEY not in content.onnx.metadata:
        raise ModelError(f"{content.name} carries no golden samples", "a file made by seg-export", "export it again")
    return Golden.from_text(content.onnx.metadata[GOLDEN_KEY], contract)
