"""Layers of a network that have more than one form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

Table = Mapping[str, str]
"""Name of a layer -> its form."""

FORMS = {
    "conv": ("direct", "split", "winograd", "winograd1d", "winograd2", "padded"),
    "up": ("transposed", "shuffled", "woven"),
    "crop": ("slices", "slice", "dilated"),
}
"""Kind -> its forms; the first is the one that PyTorch exports."""


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        name: name of its weight; for a crop, name of its output.
        kind: `conv` (3×3, valid, stride 1, followed by a ReLU), `up` (transposed 2×2, stride 2) or `crop`.
        channels: number of input channels.
        maps: number of output maps.
        size: size of the input in px.
        parts: channels of each map that a preceding Concat joins; one entry without a Concat.
        taken: px that a crop removes at the top and at the left.
        left: size in px after a crop.
    """

    name: str
    kind: str
    channels: int
    maps: int
    size: tuple[int, int]
    parts: tuple[int, ...] = ()
    taken: tuple[int, int] = (0, 0)
    left: tuple[int, int] = (0, 0)


def layer_of(node: ir.Node) -> Layer | None:
    """Return the layer that a node computes, or None for a node with only one form."""
    if node.op_type == "Conv" and _is_valid_conv(node, 3, 1):
        return _conv(node)
    if node.op_type == "ConvTranspose" and _is_valid_conv(node, 2, 2):
        return _up(node)
    if node.op_type == "Slice":
        return _crop(node)
    return None


def _is_valid_conv(node: ir.Node, side: int, stride: int) -> bool:
    """Whether a Conv or ConvTranspose is `side`×`side` of that stride without padding, dilation and groups, on known shapes."""
    if _shape_of(node.inputs[0]) is None or _weight_of(node) is None:
        return False
    plain = {"group": 1, "auto_pad": "NOTSET"}
    wanted = {
        "strides": [stride] * 2,
        "kernel_shape": [side] * 2,
        "dilations": [1, 1],
        "pads": [0] * 4,
        "output_padding": [0, 0],
    }
    return all(
        attribute.value == plain.get(name, attribute.value) and _list_of(attribute) == wanted.get(name, _list_of(attribute))
        for name, attribute in node.attributes.items()
    )  # fmt: skip


def _list_of(attribute: ir.Attr) -> list[int]:
    """Value of an attribute of integers; empty for other attributes."""
    return list(attribute.as_ints()) if attribute.type == ir.AttributeType.INTS else []


def _shape_of(value: ir.Value | None) -> tuple[int, int, int, int] | None:
    """Shape `(N, C, H, W)`, or None if it is not fully known."""
    if value is None or value.shape is None or len(value.shape) != 4:
        return None
    sizes = [n for n in value.shape if isinstance(n, int)]
    return (sizes[0], sizes[1], sizes[2], sizes[3]) if len(sizes) == 4 else None


def _weight_of(node: ir.Node) -> ir.Value | None:
    """Weight of a Conv or ConvTranspose, or None if it is not an initializer."""
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    return weight if weight is not None and weight.const_value is not None and weight.name else None


def parts_of(value: ir.Value) -> list[ir.Value]:
    """List the values that a Concat over channels joins, or the value itself without a Concat."""
    producer = value.producer()
    if producer is None or producer.op_type != "Concat" or producer.attributes["axis"].as_int() != 1:
        return [value]
    parts = [part for part in producer.inputs if part is not None]
    return parts if all(_shape_of(part) for part in parts) else [value]


def _conv(node: ir.Node) -> Layer | None:
    source, weight, shape = node.inputs[0], _shape_of(_weight_of(node)), _shape_of(node.inputs[0])
    if source is None or weight is None or shape is None:
        return None
    if [use.op_type for use in node.outputs[0].consumers()] != ["Relu"]:
        return None  # forms exist only for a convolution followed by a ReLU
    parts = tuple(s[1] for part in parts_of(source) if (s := _shape_of(part)))
    return Layer(_name(node.inputs[1]), "conv", shape[1], weight[0], shape[2:], parts)


def _up(node: ir.Node) -> Layer | None:
    weight, shape = _shape_of(_weight_of(node)), _shape_of(node.inputs[0])
    if weight is None or shape is None:
        return None
    return Layer(_name(node.inputs[1]), "up", shape[1], weight[1], shape[2:])


def _name(value: ir.Value | None) -> str:
    return value.name or "" if value is not None else ""


def _crop(node: ir.Node) -> Layer | None:
    """Return the crop of a Slice of columns after a Slice of rows, else None."""
    rows = node.inputs[0].producer() if node.inputs[0] is not None else None
    if rows is None or rows.op_type != "Slice":
        return None
    before, after = _shape_of(rows.inputs[0]), _shape_of(node.outputs[0])
    spans = list(_spans(rows)), list(_spans(node))
    if before is None or after is None or [axis for span in spans for axis, _, _ in span] != [2, 3]:
        return None
    taken = spans[0][0][1], spans[1][0][1]
    return Layer(_name(node.outputs[0]), "crop", before[1], before[1], before[2:], taken=taken, left=after[2:])


def _spans(node: ir.Node) -> Iterator[tuple[int, int, int]]:
    """Yield axis, start and end of each axis of a Slice with step 1; nothing if they are not constant."""
    given = [v.const_value.numpy() if v is not None and v.const_value is not None else None for v in node.inputs[1:]]
    if len(given) < 3 or any(v is None for v in given) or (len(given) > 3 and (given[3] != 1).any()):  # type: ignore[union-attr]
        return
    starts, ends, axes = given[:3]
    for axis, start, end in zip(axes, starts, ends, strict=True):  # type: ignore[arg-type]
        yield int(axis), int(start), int(end)
