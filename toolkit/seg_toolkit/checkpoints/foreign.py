"""Weights of other programs: copy a PyTorch state dict into a U-Net of seg-edge, layer by layer in order."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from seg_runtime.support import ModelError, read_file
from torch import Tensor, nn

from ..networks import Network, build
from .checkpoint import FORMAT, read_torch

_EXPECTED = "a PyTorch state dict, which maps names to tensors"
_DEEPEST = 6  # as --depth
_ADVICE = (
    "import a plain U-Net: two convolutions of 3×3 with their norms on each level, a transposed convolution of 2×2 for each way"
    " up, and one convolution of 1×1; layers of another kind are not read"
)
_State = dict[str, Tensor]
_Layer = tuple[str, _State]
"""Name of a layer, and its tensors keyed by the last part of their names."""


def read_state(path: Path) -> _State:
    """Read tensors by name, in the order of the file. Nothing in the file is executed.

    The state dict may be the whole file or one entry of a dict (`state_dict`, `model` and so on).

    Raises:
        ModelError: if the file is missing, damaged, contains no state dict, or is a checkpoint of seg-edge.
    """
    content = read_torch(path, _EXPECTED, "save network.state_dict() instead of the network")
    if isinstance(content, Mapping) and content.get("format") == FORMAT:
        advice = "use it as it is, for example with seg-edge evaluate or seg-edge export"
        raise ModelError(f"{path} is already a checkpoint of seg-edge", "weights of another program", advice)
    found = _tensors(content)
    inner = [state for value in content.values() if (state := _tensors(value))] if isinstance(content, dict) else []
    if not found and len(inner) == 1:
        found = inner[0]
    if odd := next((name for name, value in found.items() if value.layout != torch.strided or value.is_quantized), ""):
        raise ModelError(f"{path} has the sparse or quantized tensor {odd}", "dense tensors", "save dense weights")
    if not found:
        problem = f"{path} contains no state dict, or more than one"
        raise ModelError(problem, _EXPECTED, "save one state dict by itself")
    return found


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    return hashlib.sha256(read_file(path)).hexdigest()


@dataclass(frozen=True)
class Shape:
    """What the shapes of the weights of a U-Net say about it.

    Attributes:
        channels: image channels.
        width: feature maps of the first level.
        depth: number of poolings, counted by the transposed convolutions.
        norm: `batch`, `instance` or `none`; without tensors, an instance norm cannot be seen.
        classes: output maps; 2 for one map that is read through a sigmoid.
    """

    channels: int
    width: int
    depth: int
    norm: str
    classes: int


def shape_of(state: Mapping[str, Tensor]) -> Shape:
    """Read the shape of a U-Net from its state dict.

    Raises:
        ModelError: if these are not the weights of a U-Net of two dimensions with transposed convolutions.
    """
    layers = [tensors for _, tensors in _layers(state)]
    convolutions = [weight for tensors in layers if (weight := tensors.get("weight")) is not None and weight.ndim == 4]
    ups = [weight for weight in convolutions if weight.shape[2:] == (2, 2)]
    if len(convolutions) < 2 or not 1 <= len(ups) <= _DEEPEST:
        problem = "the state dict is not that of a U-Net with transposed convolutions of 2×2"
        raise ModelError(
            problem, "convolutions of 3×3, one transposed convolution for each level, and one of 1×1 at the end", ""
        )
    norms = [tensors for tensors in layers if _is_norm(tensors)]
    norm = "batch" if any("running_mean" in tensors for tensors in norms) else "instance" if norms else "none"
    first, last = convolutions[0], convolutions[-1]
    return Shape(int(first.shape[1]), int(first.shape[0]), len(ups), norm, max(2, int(last.shape[0])))


def check_layers(state: Mapping[str, Tensor], shape: Shape) -> None:
    """Check that weights fit a U-Net of their shape, without memory for it.

    Raises:
        ModelError: as `fit_weights`.
    """
    sketch = {"in_channels": shape.channels, "classes": shape.classes, "width": shape.width, "depth": shape.depth}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's, that nothing can be copied to such a network
        fit_weights(build({"kind": "unet", **sketch, "norm": shape.norm}), state)


def fit_weights(model: Network, state: Mapping[str, Tensor], skip_first: bool = False) -> None:
    """Copy the weights of a U-Net of another program into a network of seg-edge.

    Layers are matched by order, not by name: convolution, norm, convolution, norm, from the top of the contracting path to
    the bottom; then the transposed convolution and the two convolutions of each level; then the head. Blocks that are stored
    in another order, such as all transposed convolutions first, are sorted by their shapes. A convolution without bias gets
    a bias of 0. A norm without factors gets the factor 1 and the shift 0. A head with one map, which the other program reads through a sigmoid, becomes two maps: the background gets 0, so that softmax gives the same probability.

    You must know what a state dict does not contain: the padding, the epsilon of a norm (the default of PyTorch, 1e-5, is
    assumed), how grey values were scaled, and the order in which a skip connection and the upsampled map were joined.

    Args:
        model: network to fill in place, see `Network.layers_in_order`.
        state: tensors by name.
        skip_first: whether the other network joins the skip before the upsampled map; seg-edge joins it after.

    Raises:
        SegError: if `model` is not a plain U-Net.
        ModelError: if a layer does not fit; the message names the first one.
    """
    others, after = iter(_layers(state)), None
    for name, layer in model.layers_in_order():
        given, after = after or next(others, None), None
        if isinstance(layer, nn.InstanceNorm2d) and not (given and _is_norm(given[1])):
            given, after = (name, {}), given  # instance norm has no tensors by default in PyTorch
        if given is None:
            problem = f"the state dict ends before the layer {name} of the network"
            raise ModelError(problem, _kind(layer), _ADVICE)
        _take(name, layer, given)
        if skip_first and name.startswith("merge.") and name.endswith(".0") and isinstance(layer, nn.Conv2d):
            with torch.no_grad():
                layer.weight.copy_(layer.weight.roll(layer.in_channels // 2, dims=1))
    left = after or next(others, None)
    if left is not None:
        problem = f"the state dict has the layer {left[0]} after the last layer of the network"
        raise ModelError(problem, "", _ADVICE)


def _tensors(content: object) -> _State:
    if not isinstance(content, Mapping):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _layers(state: Mapping[str, Tensor]) -> list[_Layer]:
    """Group tensors by layer, in the order of a U-Net, or else in the order in which the layers first appear."""
    gathered: dict[str, _State] = {}
    for name, value in state.items():
        layer, _, part = name.rpartition(".")
        if part != "num_batches_tracked":  # needed only to continue training
            gathered.setdefault(layer, {})[part] = value
    stored = list(gathered.items())
    return _sorted(stored) or stored


def _sorted(stored: list[_Layer]) -> list[_Layer]:
    """Sort the layers of a U-Net by the shapes of their convolutions; empty if they are of another network."""
    units: list[list[_Layer]] = []  # a convolution, and the norm that is stored after it
    for entry in stored:
        if _sides(entry):
            units.append([entry])
        elif units:
            units[-1].append(entry)
        else:
            return []
    ups, doubles, heads = ([unit for unit in units if _sides(unit[0]) == (side, side)] for side in (2, 3, 1))
    blocks = [_block(first, second) for first, second in zip(doubles[::2], doubles[1::2], strict=False)]
    if len(heads) != 1 or len(ups) + len(doubles) + 1 != len(units) or len(doubles) != 2 * (2 * len(ups) + 1):
        return []
    merges = []
    ups.sort(key=lambda unit: -_maps(unit[0])[0])
    for up in ups:
        wide = _maps(up[0])[0]  # the skip connection doubles the maps again
        fitting = [block for block in blocks if _maps(block[0]) == (wide // 2, wide)]
        if not fitting:
            return []
        merges.append(fitting[-1])  # an image with as many channels is read by the first one
        blocks = [block for block in blocks if block is not fitting[-1]]
    blocks.sort(key=lambda block: _maps(block[0])[0])
    path = [_maps(block[0]) for block in blocks]
    if any(below[1] != above[0] for above, below in itertools.pairwise(path)):
        return []
    rising = [layer for up, merge in zip(ups, merges, strict=True) for layer in (*up, *merge)]
    return [*itertools.chain(*blocks), *rising, *heads[0]]


def _block(first: list[_Layer], second: list[_Layer]) -> list[_Layer]:
    """Join two convolutions; norms that are stored after both are put after their own."""
    norms = [*first[1:], *second[1:]]
    half = len(norms) // 2
    return [first[0], *norms[:half], second[0], *norms[half:]]


def _sides(entry: _Layer) -> tuple[int, ...]:
    """Height and width of the kernel of a convolution; empty for other layers."""
    weight = entry[1].get("weight")
    return tuple(weight.shape[2:]) if weight is not None and weight.ndim == 4 else ()


def _maps(entry: _Layer) -> tuple[int, int]:
    """First and second axis of a weight: output and input maps of a convolution, the reverse if it is transposed."""
    shape = entry[1]["weight"].shape
    return int(shape[0]), int(shape[1])


def _is_norm(tensors: _State) -> bool:
    return all(value.ndim == 1 for value in tensors.values())


def _take(name: str, layer: nn.Module, given: _Layer) -> None:
    """Fill one layer of the network."""
    theirs, tensors = given
    ours = {part: value for part, value in layer.state_dict().items() if part != "num_batches_tracked"}
    meant = {"bias": 0.0} if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) else {"weight": 1.0, "bias": 0.0}
    expected = f"{_kind(layer)} for {name}"
    if odd := sorted(tensors.keys() - ours.keys()):
        raise ModelError(f"layer {theirs} has the unexpected tensors {', '.join(odd)}", expected, _ADVICE)
    filled = {}
    for part, value in ours.items():
        found = tensors.get(part)
        if found is None and part not in meant:
            raise ModelError(f"layer {theirs} has no {part}", expected, _ADVICE)
        if found is None:
            found = torch.full_like(value, meant[part])
        elif name == "head" and found.shape[:1] == (1,) and value.shape[:1] == (2,):
            found = torch.cat([torch.zeros_like(found), found])
        if found.shape != value.shape:
            problem = f"layer {theirs} has a {part} of shape {tuple(found.shape)}"
            raise ModelError(problem, f"{tuple(value.shape)}, {expected}", _ADVICE)
        filled[part] = found.to(value.dtype)
    layer.load_state_dict(filled, strict=False)  # complete except for num_batches_tracked


def _kind(layer: nn.Module) -> str:
    shape = next(layer.parameters(recurse=False)).shape
    kind = {nn.Conv2d: "a convolution", nn.ConvTranspose2d: "a transposed convolution"}.get(type(layer), "a norm")
    return f"{kind} of shape {tuple(shape)}"
