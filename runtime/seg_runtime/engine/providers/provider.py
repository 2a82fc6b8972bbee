"""What an execution provider of ONNX Runtime is here: its options, what it needs, and what to do where it is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ...support import ProviderError
from ..hardware import available_threads
from ..installation import UNINSTALL
from ..options import RunOptions

CPU = "CPUExecutionProvider"


class Provider:
    """An execution provider that is about to open a model. Subclasses say what differs from one to another.

    Another package adds one by an entry point of the group `seg_edge.providers`, under the provider's name.

    Attributes:
        name: as `--provider` takes it.
        label: for people.
        ort_name: as ONNX Runtime calls it.
        extra: of seg-edge, which installs the wheel that has it; empty where no extra does.
        takes: names of the fields of `RunOptions` and `Tuning` that have an effect on it, besides those of every provider.
        universal: it takes every node on every machine: none is left to the CPU, and what it refuses is wrong with the model.
        first_run: it may load and yet be unable to compute: a model counts as opened after a run of zeros.
        tunable: it computes with what `seg-run --tune` measures.
        device: where its buffers lie, as ONNX Runtime names it.
        arena: ONNX Runtime's name of the memory that `shrink_memory` gives back.
        refusal: why it did not load where no library is missing.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    ort_name: ClassVar[str]
    extra: ClassVar[str] = ""
    takes: ClassVar[frozenset[str]] = frozenset()
    universal: ClassVar[bool] = False
    first_run: ClassVar[bool] = False
    tunable: ClassVar[bool] = False
    device: ClassVar[str] = "cpu"
    arena: ClassVar[str] = "cpu:0"
    refusal: ClassVar[str] = "it was refused at start"

    def __init__(self, options: RunOptions, *, half: bool = False) -> None:
        """Take the options.

        Args:
            options: of the run.
            half: whether the model itself computes in float16.
        """
        self.options, self.half = options, half
        self.threads = options.threads or available_threads()

    @classmethod
    def installed(cls, ort: Any) -> bool:
        """Whether the installed ONNX Runtime is built with it."""
        return cls.ort_name in ort.get_available_providers()

    @classmethod
    def expected(cls) -> bool:
        """Whether this machine has the hardware that it is for, so that it is a fault where it does not work."""
        return cls.universal

    @property
    def cuda_graph(self) -> bool:
        """Whether it records a window's kernels once and replays them, through buffers that stay where they are."""
        return "cuda_graph" in self.takes and self.options.tuning.cuda_graph

    def settle(self, ort: Any) -> None:
        """Settle for the process what its libraries read when they start.

        Raises:
            ProviderError: it is settled otherwise already. `auto` goes no further either.
        """

    def preload(self, ort: Any) -> None:
        """Load the libraries that it needs, where ONNX Runtime would not find them."""

    def started(self) -> None:
        """Note that its libraries have started, and have read what `settle` settled."""

    def session_options(self, ort: Any) -> Any:
        """`onnxruntime.SessionOptions`."""
        options = ort.SessionOptions()
        if self.options.self_test or not self.universal:  # which nodes it got; older versions pass over the entry
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4  # what a log line would say is raised as an error here
        return options

    def settings(self) -> dict[str, str]:
        """ONNX Runtime's options of this provider."""
        return {}

    def chain(self) -> list[Any]:
        """The `providers` of an InferenceSession: this one first, the CPU last for what it cannot take."""
        return [(self.ort_name, self.settings()), CPU]

    def run_options(self, ort: Any) -> Any:
        """`onnxruntime.RunOptions` of every run, None for the plain ones."""
        if not (self.options.tuning.shrink_memory and "shrink_memory" in self.takes):
            return None
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", self.arena)
        return options

    def unavailable(self, ort: Any, problem: str) -> ProviderError:
        """The error that says why it cannot be used, and what to install."""
        return ProviderError(f"{self.label} cannot be used: {problem}", "", self.fix(ort))

    def missing(self, ort: Any) -> str:
        """Why it did not load, by the name of the first missing library."""
        import ctypes

        folder = Path(ort.__file__).parent / "capi"
        names = ("*onnxruntime_providers_shared*", f"*providers_{self.name}*")
        for library in [path for name in names for path in sorted(folder.glob(name))]:
            try:
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                return str(error)
        return self.refusal

    def fix(self, ort: Any) -> str:
        """What to do where it does not work."""
        if self.installed(ort):
            repair = self.repair(ort)
        elif self.extra:
            repair = f"{UNINSTALL}, then pip install 'seg-edge[{self.extra}]'"
        else:
            repair = "install an ONNX Runtime that is built with it"
        return f"{repair}; or use --provider cpu"

    def repair(self, ort: Any) -> str:
        """What to install where ONNX Runtime has it and it does not work."""
        return "install what it needs"
