"""The family: one network a file, each from a window to the logits of its centre."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from seg_runtime.support.errors import ModelError, SegError

from .attention import AttentionUNet
from .multiscale import MultiScaleUNet
from .network import Network as Network
from .ternaus import TernausNet
from .unet import UNet
from .unet3d import UNet3D

NETWORKS: dict[str, type[Network]] = {
    network.kind: network for network in (UNet, AttentionUNet, MultiScaleUNet, TernausNet, UNet3D)
}


def build(arguments: Mapping[str, Any]) -> Network:
    """A network of what a checkpoint says of it: `kind` and the arguments of that kind.

    Raises:
        ModelError: a kind that this version does not know.
        TypeError: arguments that the kind does not take.
    """
    rest = dict(arguments)
    kind = rest.pop("kind", UNet.kind)  # the first checkpoints knew one kind
    if kind not in NETWORKS:
        raise ModelError(f"a network of the kind {kind!r}", ", ".join(NETWORKS), "upgrade seg-edge on this machine")
    return NETWORKS[kind](**rest)


def described(network: Network) -> dict[str, Any]:
    """What `build` takes."""
    return {"kind": network.kind, **network.arguments}


def from_options(kind: str, channels: int, classes: int, options: Mapping[str, Any]) -> Network:
    """A network with new weights, as seg-train's options wish it; those that its kind has no use for are left out.

    Raises:
        SegError: an unknown kind, or arguments that contradict each other.
    """
    taken = arguments_of(kind)
    chosen = {name: value for name, value in options.items() if name in taken and value is not None}
    return NETWORKS[kind](**{**chosen, "in_channels": channels, "classes": classes})


def arguments_of(kind: str) -> list[str]:
    """What a kind is built from, by the names of seg-train's options.

    Raises:
        SegError: an unknown kind.
    """
    if kind not in NETWORKS:
        raise SegError(f"--network {kind}", ", ".join(NETWORKS), "choose one of them")
    return list(inspect.signature(NETWORKS[kind]).parameters)


def idle_options(kind: str, names: Iterable[str]) -> list[str]:
    """Those of seg-train's options that build other networks of the family and not this kind, sorted."""
    family = {argument for other in NETWORKS for argument in arguments_of(other)}
    return sorted((set(names) & family).difference(arguments_of(kind)))
