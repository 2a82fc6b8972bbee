"""The CPU: ONNX Runtime's own kernels, on every machine."""

from __future__ import annotations

from typing import Any

from .provider import CPU, Provider


class Cpu(Provider):
    """ONNX Runtime's own kernels."""

    name = "cpu"
    label = "CPU"
    ort_name = CPU
    takes = frozenset({"cache", "process_arena", "shrink_memory"})
    universal = True
    tunable = True

    def session_options(self, ort: Any) -> Any:
        """Without a plan of one block for all activations, from the process's arena where that was asked for."""
        options = super().session_options(ort)
        options.enable_mem_pattern = False  # the block would lie beside the first window's: 160 MB, and not faster
        if self.options.tuning.process_arena:
            _register_arena(ort)
            options.add_session_config_entry("session.use_env_allocators", "1")
        return options

    def chain(self) -> list[Any]:
        """Itself alone."""
        return [self.ort_name]


def _register_arena(ort: Any) -> None:
    """One arena for all sessions of this process that ask for it; a second registration changes nothing."""
    config = ort.OrtArenaCfg({"arena_extend_strategy": 1})  # kSameAsRequested
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, config)
