"""The CPU provider of ONNX Runtime, available on every machine."""

from __future__ import annotations

from typing import Any

from .provider import CPU, Provider


class Cpu(Provider):
    """The CPU kernels of ONNX Runtime."""

    name = "cpu"
    label = "CPU"
    ort_name = CPU
    takes = frozenset({"cache", "process_arena", "shrink_memory"})
    universal = True

    def session_options(self, ort: Any) -> Any:
        """Return the options, without memory patterns and, if requested, with the arena of the process."""
        options = super().session_options(ort)
        options.enable_mem_pattern = False  # it takes 160 MB more and is not faster
        if self.options.tuning.process_arena:
            _register_arena(ort)
            options.add_session_config_entry("session.use_env_allocators", "1")
        return options

    def chain(self) -> list[Any]:
        """Return this provider only."""
        return [self.ort_name]


def _register_arena(ort: Any) -> None:
    """Register one arena for all sessions of this process that request it. A second registration has no effect."""
    config = ort.OrtArenaCfg({"arena_extend_strategy": 1})  # kSameAsRequested
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(place, config)
