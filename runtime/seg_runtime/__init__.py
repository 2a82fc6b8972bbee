"""seg_runtime: run one exported model file on ONNX Runtime, without torch."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import RunOptions, Tuning
    from .engine.session import Session
    from .model import ClassInfo, Contract, Intensity
    from .pipeline import Array, Float, Infer
    from .segmenter import Segmentation, Segmenter
    from .support import (
        ContractError,
        DataError,
        ImageError,
        ModelError,
        ParityError,
        ProviderError,
        SegError,
        SelfTestError,
    )

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

_MODULES = {
    "model": ("ClassInfo", "Contract", "Intensity"),
    "pipeline": ("Array", "Float", "Infer"),
    "support": (
        "ContractError",
        "DataError",
        "ImageError",
        "ModelError",
        "ParityError",
        "ProviderError",
        "SegError",
        "SelfTestError",
    ),
    "segmenter": ("Segmentation", "Segmenter"),
    "engine": ("RunOptions", "Tuning"),
    "engine.session": ("Session",),
}


def __getattr__(name: str) -> object:
    """Import a name when it is first asked for (PEP 562): a command line starts reading the model before numpy."""
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
