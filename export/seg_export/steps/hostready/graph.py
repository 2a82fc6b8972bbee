"""The host-ready graph: one window of an image of any size -> the result for its part of the image, and where the next one is."""

from __future__ import annotations

import onnx
from onnx import helper
from seg_runtime.model import PROBE_PACE, Contract

from ...graph import IR_VERSION, OPSET
from .builder import FLOAT, INT64, ONNX_TYPES, UINT8
from .corridor import Corridor
from .decisions import DECISIONS


def host_ready(network: onnx.ModelProto, contract: Contract, probabilities: bool = False) -> onnx.ModelProto:
    """Build the whole pipeline as one checked ONNX model of standard operators.

    A host calls it with `origin` (0, 0) and empty `statistics`, writes the result to that place, and calls it again with
    `next_origin` and `next_statistics` until `next_origin` is negative. The geometries `fit` and `stretch` take one call.

    Args:
        network: `image` `(1, C, *input_shape)` -> `logits` `(1, K, *output_shape)`.
        contract: contract of the host-ready file.
        probabilities: whether to add the output `probabilities` `(K, h, w)` float32, 0..1.

    Returns:
        Model with these inputs and outputs:

        - `image` `(H, W, C)` in the dtype of the contract, the whole image in each call,
        - `origin` `(2,)` int64, first row and column of the part,
        - `statistics` `(0 or 2, C)` float32, shift and factor of the grey values, which may depend on all pixels,
        - `labels` `(h, w)` uint8 of the part, where h and w end at the image, or for objects `planes` `(3, h, w)` uint8,
        - `next_origin` `(2,)` int64, negative after the last part,
        - `next_statistics` `(2, C)` float32,
        - `progress` `(2,)` int64, number of calls so far and in total,
        - `probe` `(1, K, h', w')` float32, every 16th logit of the window, which a self-test compares in addition.
    """
    b = Corridor("host", contract)
    own = b.size("image", 0), b.size("image", 1)
    image, framed = b.frame("image", own)
    area = b.area(framed)
    row, column = (b("Gather", "origin", b.integer(axis), axis=0) for axis in (0, 1))
    place = row, column
    normaliser = b.normaliser(image, "statistics")
    window = _window(b, image, framed, place, normaliser)
    b.nodes.extend(_reading(network, window))
    b.initializers.extend(network.graph.initializer)
    batched = network.graph.output[0].name
    logits = b("Squeeze", batched, b.ints(0))  # (K, *output_shape)
    core, lasts = b.core(place, area)
    ends = b.ints(*contract.geometry.output_shape)
    spec = contract.answer
    result, leading = DECISIONS[spec.kind].build(b, contract, logits), len(spec.result_axes)
    results = {
        spec.result_name: b.unframe(b.top(result, core, leading), area, own, leading),
        "next_origin": b.next_place(place, lasts),
        "next_statistics": normaliser,
        "progress": b.progress(place, area),
        "probe": b("Slice", batched, b.ints(0, 0), ends, b.ints(2, 3), b.ints(PROBE_PACE, PROBE_PACE)),
    }
    if probabilities:
        results["probabilities"] = b.unframe(b.activate(b.top(logits, core, 1)), area, own, 1)
    for name, value in results.items():
        b.node("Identity", [value], [name])
    return _model(b, contract, probabilities)


def _window(b: Corridor, image: str, framed: tuple[str, str], place: tuple[str, str], normaliser: str) -> str:
    """Cut and normalise the window `(1, C, *input_shape)` at a place."""
    geometry, indices = b.geometry, []
    for axis, first in enumerate(place):
        start = b("Sub", first, b.integer(geometry.margin[axis]))
        indices.append(b.mirror_index(start, geometry.input_shape[axis], framed[axis]))
    firsts = [b("ReduceMin", index, keepdims=0) for index in indices]
    ends = [b("Add", b("ReduceMax", index, keepdims=0), b.integer(1)) for index in indices]
    box = b("Slice", image, b.shape(*firsts), b.shape(*ends), b.ints(0, 1))  # so that Gather does not copy whole rows
    for axis, (index, first) in enumerate(zip(indices, firsts, strict=True)):
        box = b("Gather", box, b("Sub", index, first), axis=axis)  # (*input_shape, C)
    return b("Unsqueeze", b.normalise(box, normaliser), b.ints(0))


def _reading(network: onnx.ModelProto, window: str) -> list[onnx.NodeProto]:
    """Copy the nodes of the network with `window` as input, because the whole image now has the name of its input."""
    nodes = []
    for node in network.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [window if name == network.graph.input[0].name else name for name in node.input]
        nodes.append(copy)
    return nodes


def _model(b: Corridor, contract: Contract, probabilities: bool) -> onnx.ModelProto:
    info, channels, maps = helper.make_tensor_value_info, contract.input.channels, contract.answer.maps
    inputs = [
        info("image", ONNX_TYPES[contract.file.dtype or ""], ["height", "width", channels]),
        info("origin", INT64, [2]),
        info("statistics", FLOAT, ["known", channels]),
    ]
    grid = [-(-n // PROBE_PACE) for n in contract.geometry.output_shape]
    outputs = [
        info(contract.answer.result_name, UINT8, [*contract.answer.result_axes, "rows", "columns"]),
        info("next_origin", INT64, [2]),
        info("next_statistics", FLOAT, [2, channels]),
        info("progress", INT64, [2]),
        info("probe", FLOAT, [1, maps, *grid]),
    ]
    if probabilities:
        outputs.append(info("probabilities", FLOAT, [maps, "rows", "columns"]))
    graph = helper.make_graph(b.nodes, "seg-edge host-ready", inputs, outputs, b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model
