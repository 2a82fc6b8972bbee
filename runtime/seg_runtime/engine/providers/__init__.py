"""Execution providers, one class each: supported options, setup, and what to install if it is missing."""

from __future__ import annotations

from ...support import ProviderError, Registry, SegError, subclass_of
from ..options import AUTO
from .cpu import Cpu as Cpu
from .cuda import Cuda as Cuda
from .openvino import OpenVINO
from .provider import Provider as Provider
from .tensorrt import TensorRT

PROVIDERS: Registry[type[Provider]] = Registry(
    "seg_edge.providers",
    "provider",
    {kind.name: kind for kind in (Cpu, Cuda, TensorRT, OpenVINO)},
    subclass_of(Provider, lambda kind: str(getattr(kind, "name", ""))),
)


def candidates(name: str) -> tuple[type[Provider], ...]:
    """Return the providers that a name stands for, in the order in which they are tried.

    Args:
        name: a name in `PROVIDERS`, or `auto`.

    Raises:
        ProviderError: the name is unknown, or the package that provides it cannot be loaded.
    """
    if name == AUTO:
        return Cuda, Cpu
    try:
        return (PROVIDERS.get(name),)
    except SegError as error:
        raise ProviderError(error.problem, error.expected, error.advice) from error
