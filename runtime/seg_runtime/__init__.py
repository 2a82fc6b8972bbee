"""seg_runtime: run one exported model file on ONNX Runtime, without torch."""

from .contract import ClassInfo, Contract, Intensity
from .errors import ContractError, ImageError, ModelError, ProviderError, SegError
from .segment import Segmentation, Segmenter

__all__ = [
    "ClassInfo",
    "Contract",
    "ContractError",
    "ImageError",
    "Intensity",
    "ModelError",
    "ProviderError",
    "SegError",
    "Segmentation",
    "Segmenter",
]
