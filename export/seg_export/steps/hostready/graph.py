"""The host-ready graph: `image` `(H, W, C)` of any size in, `labels` `(H, W)` uint8 out, the network in a Loop over windows."""

from __future__ import annotations

import onnx
from onnx import helper
from seg_runtime.answers import Labels, answer_of
from seg_runtime.model.contract import Contract
from seg_runtime.model.limits import PROBE_PACE

from ...graph import IR_VERSION, OPSET
from .builder import FLOAT, ONNX_TYPES, UINT8, Builder
from .corridor import (
    activate,
    decide,
    framed_shape,
    mirror_index,
    nearest,
    normaliser,
    stitch,
    window_counts,
)
from .resample import resize


def host_ready(network: onnx.ModelProto, contract: Contract, probabilities: bool = False) -> onnx.ModelProto:
    """The whole pipeline as one checked ONNX model of standard operators.

    Args:
        network: `image` `(1, C, *input_shape)` -> `logits` `(1, K, *output_shape)`; its weights move into the Loop.
        contract: of the host-ready file.
        probabilities: add the output `probabilities` `(K, H, W)` float32, 0..1.

    Returns:
        Input `image` `(H, W, C)` of the contract's dtype, outputs `labels` `(H, W)` uint8 and `probe` `(windows, K, h, w)`
        float32: every 16th logit of each window, by which a self-test sees more than labels tell.
    """
    labels_of = answer_of(contract)
    assert isinstance(labels_of, Labels)  # the only answers that can be host-ready
    b = Builder("host")
    own = b.size("image", 0), b.size("image", 1)
    framed = framed_shape(b, *own, contract)
    seen = "image" if contract.geometry.method == "tile" else resize(b, "image", framed, contract.file.dtype or "")
    area = (
        framed
        if contract.geometry.method != "stretch"
        else (b.integer(contract.geometry.output_shape[0]), b.integer(contract.geometry.output_shape[1]))
    )
    counts = window_counts(b, area, contract)
    body, logits = _window(b, seen, framed, counts[1], network, contract)
    ends = body.ints(*contract.geometry.output_shape)
    probe = body("Slice", logits, body.ints(0, 0), ends, body.ints(1, 2), body.ints(PROBE_PACE, PROBE_PACE))
    scanned = [(decide(body, logits, labels_of), UINT8, 2), (probe, FLOAT, 3)]
    if probabilities:
        scanned.append((logits, FLOAT, 3))
    stacks = b.loop(b("Mul", *counts), body, scanned)
    labels = stitch(b, stacks[0], counts, area, contract, 0)
    _finish(b, labels, "labels", area, own, contract, 0)
    b.node("Identity", [stacks[1]], ["probe"])
    if probabilities:
        scores = activate(b, stitch(b, stacks[2], counts, area, contract, 1), contract)
        _finish(b, scores, "probabilities", area, own, contract, 1)
    return _model(b, contract, probabilities)


def _window(
    b: Builder, seen: str, framed: tuple[str, str], across: str, network: onnx.ModelProto, contract: Contract
) -> tuple[Builder, str]:
    """The body of the Loop, up to the logits `(K, *output_shape)` of one window."""
    geometry, dtype = contract.geometry, contract.file.dtype or ""
    shift, factor, clip = normaliser(b, seen, contract.input.intensity, dtype)
    body = Builder("window")
    row = body("Div", body.turn, across)
    column = body("Sub", body.turn, body("Mul", row, across))
    box = seen
    for axis, place in enumerate((row, column)):
        start = body("Sub", body("Mul", place, body.integer(geometry.step[axis])), body.integer(geometry.margin[axis]))
        index = mirror_index(body, start, geometry.input_shape[axis], framed[axis])
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
    """The network's nodes, with `window` in the place of its input, whose name the whole image has now."""
    nodes = []
    for node in network.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [window if name == network.graph.input[0].name else name for name in node.input]
        nodes.append(copy)
    return nodes


def _finish(
    b: Builder, answer: str, name: str, area: tuple[str, str], own: tuple[str, str], contract: Contract, leading: int
) -> None:
    """Bring an answer back to the image's own size and give it its name."""
    if contract.geometry.method != "tile":
        answer = nearest(b, answer, area, own, leading)
    b.node("Identity", [answer], [name])


def _model(b: Builder, contract: Contract, probabilities: bool) -> onnx.ModelProto:
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
