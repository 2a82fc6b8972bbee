"""Execution providers, one class each: what it takes, how it is set up, what to install where it is missing."""

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
    """The providers that a name stands for, in the order in which they are tried.

    Args:
        name: of `PROVIDERS`, or `auto`.

    Raises:
        ProviderError: there is none of this name, or the package that offers it cannot be loaded.
    """
    if name == AUTO:
        return Cuda, Cpu
    try:
        return (PROVIDERS.get(name),)
    except SegError as error:
        raise ProviderError(error.problem, error.expected, error.advice) from error
