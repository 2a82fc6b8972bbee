"""Networks by name, and networks rebuilt from a checkpoint."""

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
    """Build a network from the entry of a checkpoint: `kind` and the arguments of that kind.

    Raises:
        ModelError: if this installation does not know the kind.
        TypeError: if the kind does not take an argument.
    """
    rest = dict(arguments)
    kind = rest.pop("kind", None)
    if kind not in NETWORKS:
        advice = "upgrade seg-edge, or install the package that provides this network"
        raise ModelError(f"the network {kind!r} is unknown", ", ".join(NETWORKS.names()), advice)
    return NETWORKS.get(kind)(**rest)
