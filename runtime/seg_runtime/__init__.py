"""seg_runtime: run one exported model file on ONNX Runtime, without torch."""

from typing import TYPE_CHECKING

from .support import (
    ContractError,
    DataError,
    ImageError,
    ModelError,
    ParityError,
    ProviderError,
    SegError,
    SelfTestError,
    import_when_asked,
)

if TYPE_CHECKING:
    from .engine import RunOptions, Session, Tuning
    from .model import ClassInfo, Contract, Intensity
    from .pipeline import Array, Float, Infer
    from .segmenter import Segmentation, Segmenter

__all__ = [
    "Array",
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
    "RunOptions",
    "SegError",
    "Segmentation",
    "Segmenter",
    "SelfTestError",
    "Session",
    "Tuning",
]

if not TYPE_CHECKING:  # else a type checker would believe that every name is there
    __getattr__ = import_when_asked(
        __name__,
        {
            "model": ("ClassInfo", "Contract", "Intensity"),
            "pipeline": ("Array", "Float", "Infer"),
            "segmenter": ("Segmentation", "Segmenter"),
            "engine": ("RunOptions", "Session", "Tuning"),
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
