"""The options of a run, in one typed object that travels from the command line to the session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..support import SegError

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What changes speed and memory, and not one bit of an answer on CPU.

    Attributes:
        cache: folder for optimised models, see `cache.py`; None keeps none. CPU only.
        shrink_memory: give the memory of the activations back after every window; the next one asks for it again.
        process_arena: take the activations' memory from one arena of the process, which grows by what is asked for instead
            of by powers of two: some 90 MB less for the first window of the paper's network, kept until the process ends.
        cuda_graph: CUDA: record the kernels of a window once and replay them; given up where the recording fails.
        prefer_nhwc: CUDA: let ONNX Runtime lay out convolutions with the channels last.
    """

    cache: Path | None = None
    shrink_memory: bool = False
    process_arena: bool = False
    cuda_graph: bool = False
    prefer_nhwc: bool = False


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model is opened and run.

    Attributes:
        provider: a name of `PROVIDERS`, which is then used or refused; `auto` takes CUDA when it really loads, else CPU.
        threads: of the operators on CPU; None takes all that this process may use.
        fast_math: allow TF32 on CUDA (errors near 1e-3 instead of 1e-5).
        tta: answer every window by the mean over it turned and mirrored in all eight ways, see `tta.py`.
        self_test: compare the device with the golden samples of the file before it answers anything.
        require_signature: PEM file of the public key that must have signed the model, see `signature.py`.
        tuning: of speed and memory.

    Raises:
        SegError: less than one thread.
    """

    provider: str = AUTO
    threads: int | None = None
    fast_math: bool = False
    tta: bool = False
    self_test: bool = False
    require_signature: Path | None = None
    tuning: Tuning = Tuning()

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.threads is not None and self.threads < 1:
            fix = "leave it out to use all that this process may use"
            raise SegError(f"{self.threads} threads", "1 or more", fix)
