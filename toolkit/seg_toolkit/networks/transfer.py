"""Weights of one network for another of the same kind with other image channels or other output maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from seg_runtime.support import ModelError
from torch import Tensor

from .family import build
from .network import Network


@dataclass(frozen=True)
class KeptMap:
    """An output map whose weights are kept: the new map is `factor` times the old one, plus `shift`.

    Attributes:
        new: index of the map in the new network.
        old: index in the old network.
        factor: 1 unless the map has another unit.
        shift: 0 unless the map has another unit.
    """

    new: int
    old: int
    factor: float = 1.0
    shift: float = 0.0


def transfer(model: Network, state: Mapping[str, Tensor], maps: Sequence[KeptMap]) -> None:
    """Fill a network with the weights of another one of the same kind and size.

    With other image channels, each new channel gets the sum of the old ones divided by the number of new ones, so that an
    image with equal channels gives the same result: from grey to colour the weights are repeated, from colour to grey summed.
    Output maps that are not kept stay as they are, with new weights.

    Args:
        model: network with new weights, filled in place.
        state: weights of the other network by name.
        maps: output maps that are kept.

    Raises:
        ModelError: if the networks differ in more than channels and output maps.
    """
    fresh = model.state_dict()
    entries, exits = _tensors_that_follow(model, "in_channels", 1), _tensors_that_follow(model, "classes", 0)
    for name, value in fresh.items():
        given = state.get(name)
        if given is not None and name in entries:
            given = _with_channels(given, int(model.arguments["in_channels"]), value.shape[1] - given.shape[1])
        if given is not None and name in exits:
            given = _with_maps(given, value, maps)
        if given is None or given.shape != value.shape:
            problem = f"the weights of {name} do not fit the network {model.kind}"
            raise ModelError(problem, f"the shape {tuple(value.shape)}", "start from a model of the same network")
        fresh[name] = given.to(value.dtype)
    model.load_state_dict(fresh)


def invert(model: Network, within_one: bool) -> None:
    """Change a network in place so that it takes images whose light and dark are exchanged.

    Args:
        model: network to change.
        within_one: whether images go from 0 to 1, so that 1 - x is the inverted image; else it is -x, for images around 0.
    """
    tensors = model.state_dict()
    channels = int(model.arguments["in_channels"])
    for name in _tensors_that_follow(model, "in_channels", 1):
        images = tensors[name][:, -channels:]
        bias = tensors.get(f"{name.rpartition('.')[0]}.bias")
        if within_one and bias is not None:
            bias += images.flatten(1).sum(dim=1)
        images.neg_()


def _tensors_that_follow(model: Network, argument: str, axis: int) -> set[str]:
    """Names of the tensors that one more channel or output map makes longer along an axis."""
    with torch.device("meta"):  # shapes alone
        more = {**model.described, argument: model.arguments[argument] + 1}
        longer = build(more).state_dict()
    return set(_longer(model.state_dict(), longer, axis))


def _longer(one: Mapping[str, Tensor], other: Mapping[str, Tensor], axis: int) -> Iterator[str]:
    for name, value in one.items():
        if value.ndim > axis and other[name].shape[axis] > value.shape[axis]:
            yield name


def _with_channels(weight: Tensor, channels: int, more: int) -> Tensor:
    """Change the image channels of a weight `(out, maps + channels, …)`, in which they are the last ones."""
    if not more:
        return weight
    before = weight[:, : weight.shape[1] - (channels - more)]
    images = weight[:, before.shape[1] :]
    total = images.sum(dim=1, keepdim=True) / channels
    return torch.cat([before, total.expand(-1, channels, *total.shape[2:])], dim=1)


def _with_maps(weight: Tensor, fresh: Tensor, maps: Sequence[KeptMap]) -> Tensor:
    """Put the kept maps of a weight or a bias into the new one."""
    made = fresh.clone()
    for kept in maps:
        made[kept.new] = weight[kept.old] * kept.factor + (kept.shift if weight.ndim == 1 else 0)
    return made
