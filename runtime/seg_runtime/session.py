"""model.onnx -> Session: its contract, and windows -> logits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .contract import METADATA_KEY, Contract
from .digest import verified_sha256
from .errors import ContractError, ModelError, ProviderError
from .onnxfile import MAX_BYTES, check, scan
from .preprocess import Float
from .providers import open_session, runtime_module


class Session:
    """One loaded model on one execution provider. Thread-safe: ONNX Runtime's `run` is.

    Attributes:
        contract: read from the file's metadata.
        provider: the one in use, `cpu` or `cuda`.
        provider_asked: the one asked for.
        fast_math: whether TF32 was allowed.
        provider_reason: why `auto` did not take CUDA, empty otherwise.
        sha256: of the very bytes that ONNX Runtime was given.
    """

    def __init__(
        self, model: str | Path | bytes, provider: str = "auto", threads: int | None = None, fast_math: bool = False
    ) -> None:
        """Load a model.

        Args:
            model: path of an ONNX file, or its content.
            provider: `auto`, `cpu` or `cuda`; what is asked for is what is used, or an error.
            threads: for operators on CPU; None takes all that this process may use.
            fast_math: allow TF32 on CUDA.

        Raises:
            ModelError: the file cannot be read or is not an ONNX model of the contract's shape.
            ContractError: the file carries no contract or one this version cannot follow.
            ProviderError: the provider cannot be had.
        """
        name = "model" if isinstance(model, bytes) else str(model)
        self.provider_asked, self.fast_math, self._threads = provider, fast_math, threads
        with ThreadPoolExecutor(1) as beside:  # 124 MB are read during the import and digested during the load
            reading = beside.submit(lambda: model if isinstance(model, bytes) else _read(Path(model)))
            runtime_module()
            data = reading.result()
            found = scan(data, name)
            check(found, name)
            if METADATA_KEY not in found.metadata:
                came = f"{name} carries no contract"
                raise ContractError(came, "a file made by seg-export", "export the model with seg-export")
            self.sha256 = verified_sha256(data, name)
            self.contract = Contract.from_json(bytes(found.metadata[METADATA_KEY]).decode("utf-8", "replace"))
            opened = open_session(data, provider, threads, fast_math)
        self._session, self.provider, self.provider_reason = opened.session, opened.provider, opened.reason
        self._check_shapes(name)
        if self.provider == "cuda":
            self._prove_cuda(data)

    @property
    def runtime_version(self) -> str:
        """Version of the ONNX Runtime in use."""
        return str(runtime_module().__version__)

    def run(self, window: Float) -> Float:
        """Logits `(1, K, *output_shape)` float32 of one window `(1, C, *input_shape)` float32.

        Raises:
            ModelError: ONNX Runtime fails in the middle, for want of memory for example.
        """
        try:
            logits: Float = self._session.run(["logits"], {"image": window})[0]
        except Exception as error:  # ONNX Runtime raises a dozen classes without a common root
            raise ModelError(
                f"ONNX Runtime failed while running the model ({error})", "", "free memory, or use --provider cpu"
            ) from error
        return logits

    def warm_up(self) -> None:
        """Run one window of zeros, so that the first image does not pay for allocations and kernel choice."""
        self.run(np.zeros((1, self.contract.channels, *self.contract.input_shape), np.float32))

    def _prove_cuda(self, data: bytes) -> None:
        """Run once: a driver may load and yet have no kernels for this card. The first run is the slow one, too."""
        try:
            self.warm_up()
        except ModelError as error:
            if self.provider_asked == "cuda":
                raise ProviderError(
                    f"CUDA loads but cannot run the model ({error})", "", "use --provider cpu"
                ) from error
            opened = open_session(data, "cpu", self._threads, fast_math=False)
            self._session, self.provider, self.provider_reason = opened.session, "cpu", f"no CUDA: {error}"

    def _check_shapes(self, name: str) -> None:
        c = self.contract
        wanted = {"image": [1, c.channels, *c.input_shape], "logits": [1, len(c.classes), *c.output_shape]}
        given = {v.name: v.shape for v in (*self._session.get_inputs(), *self._session.get_outputs())}
        if given != wanted:
            raise ModelError(
                f"{name} has inputs and outputs {given}", f"{wanted} as its contract says", "export it again"
            )


def _read(path: Path) -> bytes:
    fix = "name one with --model or $SEG_MODEL, or make one with seg-export"
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ModelError(f"model {path} has {size} bytes", f"at most {MAX_BYTES}", fix)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"model {path} does not exist", "an ONNX file made by seg-export", fix) from error
    except OSError as error:
        raise ModelError(
            f"model {path} cannot be read ({error.strerror})", "an ONNX file made by seg-export", fix
        ) from error
    if path.suffix.lower() in (".pt", ".pth"):
        raise ModelError(
            f"{path} is a torch checkpoint", "an ONNX file", f"seg-export {path} {path.with_suffix('.onnx')}"
        )
    if not data:
        raise ModelError(f"model {path} is empty", "an ONNX file made by seg-export", "copy or export it again")
    return data
