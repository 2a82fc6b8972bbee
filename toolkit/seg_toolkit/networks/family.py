"""The family: networks by name, and a network of what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seg_runtime.support import ModelError, Registry, subclass_of

from .attention import AttentionUNet
from .multiscale import MultiScaleUNet
from .network import Network
from .ternaus import TernausNet
from .unet import UNet
from .unet3d import UNet3D

NETWORKS: Registry[type[Network]] = Registry(
    "seg_edge.networks",
    "network",
    {network.kind: network for network in (UNet, AttentionUNet, MultiScaleUNet, TernausNet, UNet3D)},
    subclass_of(Network, lambda network: str(network.kind)),
)


def build(arguments: Mapping[str, Any]) -> Network:
    """A network of what a checkpoint holds of it: `kind` and the arguments of that kind.

    Raises:
        ModelError: a kind that this installation does not know.
        TypeError: arguments that the kind does not take.
    """
    rest = dict(arguments)
    kind = rest.pop("kind", None)
    if kind not in NETWORKS:
        fix = "upgrade seg-edge on this machine, or install the package that offers it"
        raise ModelError(f"a network of the kind {kind!r}", ", ".join(NETWORKS.names()), fix)
    return NETWORKS.get(kind)(**rest)
