"""Base class of execution providers of ONNX Runtime: options, requirements, and what to do if one is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ...support import ProviderError
from ..hardware import available_threads
from ..installation import UNINSTALL
from ..options import RunOptions

CPU = "CPUExecutionProvider"


class Provider:
    """An execution provider that opens a model. Subclasses define the differences between providers.

    Other packages add providers with entry points of the group `seg_edge.providers`, under the provider's name.

    Attributes:
        name: name for `--provider`.
        label: name in messages.
        ort_name: name in ONNX Runtime.
        extra: extra of seg-edge that installs its wheel; empty if there is none.
        takes: fields of `RunOptions` and `Tuning` that affect it, besides those that affect every provider.
        universal: whether it runs every node on every machine, so that errors are caused by the model, not the
            provider.
        first_run: whether it may load without being able to compute, so that the model must run once on zeros to be
            sure.
        device: ONNX Runtime's name of the device of its buffers.
        arena: ONNX Runtime's name of the memory that `shrink_memory` frees.
        refusal: why it did not load, if no library is missing.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    ort_name: ClassVar[str]
    extra: ClassVar[str] = ""
    takes: ClassVar[frozenset[str]] = frozenset()
    universal: ClassVar[bool] = False
    first_run: ClassVar[bool] = False
    device: ClassVar[str] = "cpu"
    arena: ClassVar[str] = "cpu:0"
    refusal: ClassVar[str] = "ONNX Runtime did not start it"

    def __init__(self, options: RunOptions, *, half: bool = False) -> None:
        """Create a provider.

        Args:
            options: options of the run.
            half: whether the model computes in float16.
        """
        self.options, self.half = options, half
        self.threads = options.threads or available_threads()

    @classmethod
    def installed(cls, ort: Any) -> bool:
        """Return whether the installed ONNX Runtime is built with it."""
        return cls.ort_name in ort.get_available_providers()

    @classmethod
    def expected(cls) -> bool:
        """Return whether this machine has the hardware for it, so that it should work."""
        return cls.universal

    @property
    def cuda_graph(self) -> bool:
        """Whether it records the kernels of a window and replays them, with fixed buffers."""
        return "cuda_graph" in self.takes and self.options.tuning.cuda_graph

    def settle(self, ort: Any) -> None:
        """Make the process-wide settings that its libraries read when they start.

        Raises:
            ProviderError: the settings conflict with earlier ones. `auto` then fails as well.
        """

    def preload(self, ort: Any) -> None:
        """Load the libraries that ONNX Runtime would not find."""

    def started(self) -> None:
        """Remember that its libraries have started and have read the settings of `settle`."""

    def session_options(self, ort: Any) -> Any:
        """Return `onnxruntime.SessionOptions`."""
        options = ort.SessionOptions()
        if self.options.self_test or not self.universal:  # records its nodes; older versions ignore it
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 4  # problems are raised as errors instead
        return options

    def settings(self) -> dict[str, str]:
        """Return ONNX Runtime's options of this provider."""
        return {}

    def chain(self) -> list[Any]:
        """Return the `providers` of an InferenceSession: this one, then the CPU for nodes that it does not support."""
        return [(self.ort_name, self.settings()), CPU]

    def run_options(self, ort: Any) -> Any:
        """Return `onnxruntime.RunOptions` for every run; None for the default."""
        if not (self.options.tuning.shrink_memory and "shrink_memory" in self.takes):
            return None
        options = ort.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", self.arena)
        return options

    def unavailable(self, ort: Any, problem: str) -> ProviderError:
        """Return an error that says why the provider cannot be used and what to install."""
        return ProviderError(f"{self.label} cannot be used: {problem}", "", self.fix(ort))

    def missing(self, ort: Any) -> str:
        """Return why the provider did not load: the first missing library, or `refusal`."""
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
        """Return what to do if the provider does not work."""
        if self.installed(ort):
            repair = self.repair(ort)
        elif self.extra:
            repair = f"{UNINSTALL}, then `pip install 'seg-edge[{self.extra}]'`"
        else:
            repair = "install an ONNX Runtime build that includes it"
        return f"{repair}; or use --provider cpu"

    def repair(self, ort: Any) -> str:
        """Return what to install if ONNX Runtime has the provider but it does not work."""
        return "install the libraries that it needs"
