"""model.onnx -> Session: its contract, and windows -> logits, or whole images -> labels where the file is host-ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .contract import METADATA_KEY, Contract
from .errors import ModelError, ProviderError
from .limits import PROBE_PACE
from .modelfile import Content, ModelFile
from .preprocess import Array, Float
from .providers import open_session, placement, runtime_module

if TYPE_CHECKING:
    from .golden import Golden


class Session:
    """One loaded model on one execution provider. Thread-safe: ONNX Runtime's `run` is.

    Attributes:
        contract: read from the file's metadata.
        provider: the one in use, `cpu` or `cuda`.
        provider_asked: the one asked for.
        fast_math: whether TF32 was allowed.
        provider_reason: why `auto` did not take CUDA, empty otherwise.
        sha256: of the very bytes that ONNX Runtime was given.
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
    ) -> None:
        """Load a model.

        Args:
            model: path of an ONNX file, its content, or a file that is being read.
            provider: `auto`, `cpu` or `cuda`; what is asked for is what is used, or an error.
            threads: for operators on CPU; None takes all that this process may use.
            fast_math: allow TF32 on CUDA.
            self_test: keep the file's golden samples, and note which provider gets which node.
            require_signature: PEM file of a public key; see `signature.py`.

        Raises:
            ModelError: the file cannot be read, is damaged, not signed as required, or is not an ONNX model of the contract's shape.
            ContractError: the file carries no contract or one this version cannot follow.
            ProviderError: the provider cannot be had.
        """
        self.provider_asked, self.fast_math, self._threads = provider, fast_math, threads
        reading = model if isinstance(model, ModelFile) else ModelFile(model)
        runtime_module()
        content = reading.take()
        if require_signature is not None:
            if content.path is None:
                raise ModelError("a model without a file has no signature", "a path", "leave out require_signature")
            from .signature import check_signature

            check_signature(content.path, content.sha256, Path(require_signature))
        self.sha256 = content.sha256
        self.contract = Contract.from_json(bytes(content.onnx.metadata[METADATA_KEY]).decode("utf-8", "replace"))
        self.golden = _golden(content, self.contract) if self_test else None
        opened = open_session(content.data, provider, threads, fast_math, record_placement=self_test)
        self._session, self.provider, self.provider_reason = opened.session, opened.provider, opened.reason
        self._check_shapes(content.name)
        if self.provider == "cuda":
            self._prove_cuda(content.data)

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime in use."""
        return str(runtime_module().__version__)

    @property
    def placement(self) -> dict[str, int] | None:
        """Nodes on each execution provider, None when not asked for or when ONNX Runtime cannot tell."""
        return placement(self._session)

    def run(self, window: Float) -> Float:
        """Logits `(1, K, *output_shape)` float32 of one window `(1, C, *input_shape)` float32.

        Raises:
            ModelError: ONNX Runtime fails in the middle, for want of memory for example.
        """
        logits: Float = self._run(["logits"], window)[0]
        return logits

    def run_image(self, image: Array, probabilities: bool = False) -> tuple[NDArray[np.uint8], Float | None]:
        """Labels `(H, W)` uint8, and `(K, H, W)` float32 probabilities if asked for, of a whole image by a host-ready file.

        Args:
            image: `(H, W, C)` of the contract's `host_dtype`.
            probabilities: the file must have that output, see `has_probabilities`.

        Raises:
            ModelError: ONNX Runtime fails in the middle.
        """
        answers = self._run(["labels", "probabilities"] if probabilities else ["labels"], np.ascontiguousarray(image))
        return answers[0], answers[1] if probabilities else None

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
            return list(self._session.run(outputs, {"image": image}))
        except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
            raise ModelError(
                f"ONNX Runtime failed while running the model ({error})", "", "free memory, or use --provider cpu"
            ) from error

    def warm_up(self) -> None:
        """Run one window of zeros, so that the first image does not pay for allocations and kernel choice."""
        c = self.contract
        if c.form == "window":
            self.run(np.zeros((1, c.channels, *c.input_shape), np.float32))
        else:
            self.run_image(np.zeros((1, 1, c.channels), c.host_dtype))

    def _prove_cuda(self, data: bytes) -> None:
        """Run once: a driver may load and yet have no kernels for this card. The first run is the slow one, too."""
        try:
            self.warm_up()
        except ModelError as error:
            if self.provider_asked == "cuda":
                raise ProviderError(
                    f"CUDA loads but cannot run the model ({error})", "", "use --provider cpu"
                ) from error
            opened = open_session(data, "cpu", self._threads, False, record_placement=self.golden is not None)
            self._session, self.provider, self.provider_reason = opened.session, "cpu", f"no CUDA: {error}"

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
    floats, classes = "tensor(float)", len(c.classes)
    if c.form == "window":
        return {
            "image": (floats, [1, c.channels, *c.input_shape]),
            "logits": (floats, [1, classes, *c.output_shape]),
        }
    dtype = floats if c.host_dtype == "float32" else f"tensor({c.host_dtype})"
    any_size: list[int | None] = [None] * len(c.input_shape)
    return {
        "image": (dtype, [*any_size, c.channels]),
        "labels": ("tensor(uint8)", any_size),
        "probe": (floats, [None, classes, *(-(-n // PROBE_PACE) for n in c.output_shape)]),
        "probabilities": (floats, [classes, *any_size]),
    }


def _golden(content: Content, contract: Contract) -> Golden:
    from .golden import GOLDEN_KEY, Golden  # only a self-test reads archives

    if GOLDEN_KEY not in content.onnx.metadata:
        raise ModelError(f"{content.name} carries no golden samples", "a file made by seg-export", "export it again")
    return Golden.from_text(content.onnx.metadata[GOLDEN_KEY], contract)
