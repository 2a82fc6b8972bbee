"""Weights made elsewhere: a plain state dict of torch into a U-Net of ours, layer by layer in the order of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from seg_runtime.support import ModelError
from torch import Tensor, nn

from ..networks import Network
from .checkpoint import read_torch

_WANTED = "a state dict of torch: names and tensors"
_State = dict[str, Tensor]
_Layer = tuple[str, _State]
"""Name of a layer, and its tensors by the last part of their names."""


def read_state(path: Path) -> _State:
    """Tensors by name, in the file's order; nothing in the file is executed.

    A state dict may lie alone in the file, or as one entry of a dict beside others (`state_dict`, `model` and so on).

    Raises:
        ModelError: missing, damaged, or no state dict.
    """
    content = read_torch(path, _WANTED, "save network.state_dict() instead of the network")
    found = _tensors(content)
    inner = [state for value in content.values() if (state := _tensors(value))] if isinstance(content, dict) else []
    if not found and len(inner) == 1:
        found = inner[0]
    if not found:
        raise ModelError(f"{path} holds no state dict, or several", _WANTED, "save one by itself")
    return found


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fit_weights(model: Network, state: Mapping[str, Tensor], skip_first: bool = False) -> None:
    """Put the weights of a U-Net made elsewhere into ours.

    Names do not matter, order does: convolution, its norm, convolution, its norm, from the top of the contracting path to
    the bottom; then for each level the transposed convolution and its two convolutions; the head. A convolution without
    bias gets a bias of zero and a norm without factors gets 1 and 0, which is what they mean. A head of one map, read by
    a sigmoid elsewhere, becomes two: 0 for the background beside it, so that our softmax gives the same probability.

    What a state dict does not tell must be known: padding, a norm's epsilon (torch's 1e-5 is assumed), how grey values
    were scaled, and in which order a skip and the upsampled map were joined.

    Args:
        model: a network that has an order, see `Network.layers_in_order`; changed in place.
        state: tensors by name.
        skip_first: the other network joins the skip before the upsampled map; ours after it.

    Raises:
        SegError: our network is not a plain U-Net.
        ModelError: names the first layer that does not fit.
    """
    others, after = iter(_layers(state)), None
    for name, layer in model.layers_in_order():
        given, after = after or next(others, None), None
        if isinstance(layer, nn.InstanceNorm2d) and not (given and _is_norm(given[1])):
            given, after = (name, {}), given  # torch's instance norm has no tensors unless asked
        if given is None:
            raise ModelError(f"the file ends before our layer {name}", _kind(layer), "check --depth and --norm")
        _take(name, layer, given)
        if skip_first and name.startswith("merge.") and name.endswith(".0") and isinstance(layer, nn.Conv2d):
            with torch.no_grad():
                layer.weight.copy_(layer.weight.roll(layer.in_channels // 2, dims=1))
    left = after or next(others, None)
    if left is not None:
        raise ModelError(f"the file goes on with {left[0]} after our last layer", "its end", "check --depth and --norm")


def _tensors(content: object) -> _State:
    if not isinstance(content, Mapping):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _layers(state: Mapping[str, Tensor]) -> Iterator[_Layer]:
    """Tensors gathered by layer, in the order in which layers first appear."""
    gathered: dict[str, _State] = {}
    for name, value in state.items():
        layer, _, part = name.rpartition(".")
        if part != "num_batches_tracked":  # matters only where training goes on
            gathered.setdefault(layer, {})[part] = value
    yield from gathered.items()


def _is_norm(tensors: _State) -> bool:
    return all(value.ndim == 1 for value in tensors.values())


def _take(name: str, layer: nn.Module, given: _Layer) -> None:
    """Fill one layer of ours."""
    theirs, tensors = given
    ours = {part: value for part, value in layer.state_dict().items() if part != "num_batches_tracked"}
    meant = {"bias": 0.0} if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) else {"weight": 1.0, "bias": 0.0}
    wanted = f"{_kind(layer)} as our {name}"
    if odd := sorted(tensors.keys() - ours.keys()):
        fix = "check --norm: running statistics belong to batch"
        raise ModelError(f"layer {theirs} with {', '.join(odd)}", wanted, fix)
    filled = {}
    for part, value in ours.items():
        found = tensors.get(part)
        if found is None and part not in meant:
            raise ModelError(f"layer {theirs} without {part}", wanted, "check --norm and --depth")
        if found is None:
            found = torch.full_like(value, meant[part])
        elif name == "head" and found.shape[:1] == (1,) and value.shape[:1] == (2,):
            found = torch.cat([torch.zeros_like(found), found])
        if found.shape != value.shape:
            problem = f"layer {theirs} with {part} of shape {tuple(found.shape)}"
            fix = "check --channels, --width, --depth, --norm and the number of classes"
            raise ModelError(problem, f"{tuple(value.shape)}, {wanted}", fix)
        filled[part] = found.to(value.dtype)
    layer.load_state_dict(filled, strict=False)  # but for the count of batches all of it is there


def _kind(layer: nn.Module) -> str:
    shape = next(layer.parameters(recurse=False)).shape
    kind = {nn.Conv2d: "a convolution", nn.ConvTranspose2d: "a transposed convolution"}.get(type(layer), "a norm")
    return f"{kind} of shape {tuple(shape)}"
