"""seg_runtime: run one exported model file on ONNX Runtime, without torch."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import RunOptions, Tuning
    from .model import ClassInfo, Contract, Intensity
    from .segmenter import Segmentation, Segmenter
    from .support import ContractError, ImageError, ModelError, ProviderError, SegError, SelfTestError

__all__ = [
    "ClassInfo",
    "Contract",
    "ContractError",
    "ImageError",
    "Intensity",
    "ModelError",
    "ProviderError",
    "RunOptions",
    "SegError",
    "Segmentation",
    "Segmenter",
    "SelfTestError",
    "Tuning",
]

_MODULES = {
    "model": ("ClassInfo", "Contract", "Intensity"),
    "support": ("ContractError", "ImageError", "ModelError", "ProviderError", "SegError", "SelfTestError"),
    "segmenter": ("Segmentation", "Segmenter"),
    "engine": ("RunOptions", "Tuning"),
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
