"""The options of a run, as typed objects that are passed from the command line to the session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..model import Requirements
from ..support import SegError

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings for speed and memory. On the CPU, they do not change the results by a single bit.

    Attributes:
        cache: folder for optimized models, see `cache.py`; None disables the cache. CPU only.
        shrink_memory: free the memory of the activations after every window; the next window allocates it again.
        process_arena: allocate activations from one arena of the process, which grows by the requested size instead of
            by powers of two. This saves about 90 MB for the first window of the paper's network. The arena is kept
            until the process ends.
        cuda_graph: CUDA: record the kernels of a window as a CUDA graph and replay it; disabled if recording fails.
        prefer_nhwc: CUDA: let ONNX Runtime run convolutions in channels-last (NHWC) layout.
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
        provider: a name in `PROVIDERS`, which is then used or an error is raised; `auto` uses CUDA if it loads, else
            the CPU.
        threads: number of threads of the CPU operators; None uses all threads available to this process.
        fast_math: allow TF32 on CUDA (errors of about 1e-3 instead of 1e-5).
        tta: average the predictions for all eight rotations and reflections of each window, see `tta.py`.
        self_test: run the golden samples of the file first and compare the results.
        require: what the model must be: signed, named, or one of known files.
        tuning: settings for speed and memory.

    Raises:
        SegError: fewer than one thread.
    """

    provider: str = AUTO
    threads: int | None = None
    fast_math: bool = False
    tta: bool = False
    self_test: bool = False
    require: Requirements = Requirements()
    tuning: Tuning = Tuning()

    def __post_init__(self) -> None:
        """Check the number of threads."""
        if self.threads is not None and self.threads < 1:
            advice = "leave it out to use all threads available to this process"
            raise SegError(f"the number of threads is {self.threads}", "1 or more", advice)
