"""The host-ready graph: `image` `(H, W, C)` of any size -> `labels` `(H, W)` uint8, with the network in a Loop over windows."""

from __future__ import annotations

import onnx
from onnx import helper
from seg_runtime.model import PROBE_PACE, Contract

from ...graph import IR_VERSION, OPSET
from .builder import FLOAT, ONNX_TYPES, UINT8
from .corridor import Corridor


def host_ready(network: onnx.ModelProto, contract: Contract, probabilities: bool = False) -> onnx.ModelProto:
    """Build the whole pipeline as one checked ONNX model of standard operators.

    Args:
        network: `image` `(1, C, *input_shape)` -> `logits` `(1, K, *output_shape)`; its weights move into the Loop.
        contract: contract of the host-ready file.
        probabilities: whether to add the output `probabilities` `(K, H, W)` float32, 0..1.

    Returns:
        Model with the input `image` `(H, W, C)` in the dtype of the contract and the outputs `labels` `(H, W)` uint8 and
        `probe` `(windows, K, h, w)` float32: every 16th logit of each window, which a self-test compares in addition.
    """
    b = Corridor("host", contract)
    own = b.size("image", 0), b.size("image", 1)
    image, framed = b.frame("image", own)
    area = b.area(framed)
    counts = b.window_counts(area)
    body, logits = _window(b, image, framed, counts[1], network)
    ends = body.ints(*contract.geometry.output_shape)
    probe = body("Slice", logits, body.ints(0, 0), ends, body.ints(1, 2), body.ints(PROBE_PACE, PROBE_PACE))
    scanned = [(body.decide(logits), UINT8, 2), (probe, FLOAT, 3)]
    if probabilities:
        scanned.append((logits, FLOAT, 3))
    stacks = b.loop(b("Mul", *counts), body, scanned)
    labels = b.stitch(stacks[0], counts, area, 0)
    b.node("Identity", [b.unframe(labels, area, own, 0)], ["labels"])
    b.node("Identity", [stacks[1]], ["probe"])
    if probabilities:
        scores = b.activate(b.stitch(stacks[2], counts, area, 1))
        b.node("Identity", [b.unframe(scores, area, own, 1)], ["probabilities"])
    return _model(b, contract, probabilities)


def _window(
    b: Corridor, image: str, framed: tuple[str, str], across: str, network: onnx.ModelProto
) -> tuple[Corridor, str]:
    """Build the body of the Loop, up to the logits `(K, *output_shape)` of one window."""
    geometry = b.geometry
    shift, factor, clip = b.normaliser(image)
    body = Corridor("window", b.contract)
    row = body("Div", body.turn, across)
    column = body("Sub", body.turn, body("Mul", row, across))
    box = image
    for axis, place in enumerate((row, column)):
        start = body("Sub", body("Mul", place, body.integer(geometry.step[axis])), body.integer(geometry.margin[axis]))
        index = body.mirror_index(start, geometry.input_shape[axis], framed[axis])
        box = body("Gather", box, index, axis=axis)  # (*input_shape, C)
    values = body("Mul", body("Sub", body.cast(box, FLOAT), shift), factor)
    if clip:
        values = body("Clip", values, body.const(0, "float32"), body.const(1, "float32"))
    planes = body("Transpose", values, perm=[2, 0, 1])
    window = body("Unsqueeze", planes, body.ints(0))  # (1, C, *input_shape)
    body.nodes.extend(_reading(network, window))
    body.initializers.extend(network.graph.initializer)
    return body, body("Squeeze", network.graph.output[0].name, body.ints(0))


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
    info = helper.make_tensor_value_info
    image = info("image", ONNX_TYPES[contract.file.dtype or ""], ["height", "width", contract.input.channels])
    grid = [-(-n // PROBE_PACE) for n in contract.geometry.output_shape]
    outputs = [
        info("labels", UINT8, ["height", "width"]),
        info("probe", FLOAT, ["windows", contract.answer.maps, *grid]),
    ]
    if probabilities:
        outputs.append(info("probabilities", FLOAT, [contract.answer.maps, "height", "width"]))
    graph = helper.make_graph(b.nodes, "seg-edge host-ready", [image], outputs, b.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model
