"""Run a model file made by seg-export on ONNX Runtime, without torch."""

from typing import TYPE_CHECKING

from .support import (
    VERSION,
    CancelledError,
    ContractError,
    DataError,
    ImageError,
    ModelError,
    ParityError,
    ProviderError,
    SegError,
    SelfTestError,
    disable_telemetry,
    import_on_access,
)

__version__ = VERSION
disable_telemetry()  # here, so that every command, library call and worker process is covered

if TYPE_CHECKING:
    from .engine import RunOptions, Session, Tuning
    from .model import ClassInfo, Contract, Intensity, Requirements
    from .pipeline import Array, Float, Infer
    from .segmenter import Segmentation, Segmenter
    from .series import segment_series

__all__ = [
    "Array",
    "CancelledError",
    "ClassInfo",
    "Contract",
    "ContractError",
    "DataError",
    "Float",
    "ImageError",
    "Infer",
    "Intensity",
    "ModelError",
    "ParityError",
    "ProviderError",
    "Requirements",
    "RunOptions",
    "SegError",
    "Segmentation",
    "Segmenter",
    "SelfTestError",
    "Session",
    "Tuning",
    "segment_series",
]

if not TYPE_CHECKING:  # with a module __getattr__, a type checker would accept every name
    __getattr__ = import_on_access(
        __name__,
        {
            "model": ("ClassInfo", "Contract", "Intensity", "Requirements"),
            "pipeline": ("Array", "Float", "Infer"),
            "segmenter": ("Segmentation", "Segmenter"),
            "series": ("segment_series",),
            "engine": ("RunOptions", "Session", "Tuning"),
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
