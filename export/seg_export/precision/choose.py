"""Which layers stay in float: those whose measured effect on the labels is worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from seg_runtime.contract import Contract
from seg_runtime.postprocess import decide
from seg_runtime.preprocess import Float

from .calibrate import inferring
from .gate import GOAL, Cost

GAIN = 0.05  # points of Dice that a layer in float must bring, else it is not worth its time
PATIENCE = 3  # layers in a row that bring nothing, after which no further one is tried

Layer = tuple[str, ...]
Make = Callable[[Layer], onnx.ModelProto]


class Drop:
    """Points of Dice that a form loses against fp32 on a few windows, pooled; see `Cost.drop`."""

    def __init__(self, windows: Sequence[Float], fp32: Sequence[Float], contract: Contract) -> None:
        """Take windows `(1, C, *input_shape)` and the fp32 logits `(K, *output_shape)` for them."""
        self.windows, self.contract = windows, contract
        self.labels = [decide(logits, contract) for logits in fp32]

    def __call__(self, graph: onnx.ModelProto) -> float:
        """Of one graph."""
        infer, cost = inferring(graph), Cost(len(self.contract.classes))
        for window, labels in zip(self.windows, self.labels, strict=True):
            cost.add(labels, decide(infer(window)[0], self.contract))
        return cost.drop


def choose(
    candidates: Sequence[Layer], make: Make, drop: Callable[[onnx.ModelProto], float],
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Layer:  # fmt: skip
    """Names of nodes to keep in float.

    All in int8 where that reaches the goal. Else each layer's effect is measured with this layer alone in float, and
    they go back into float from the worst on, each only if it brings `GAIN` on top of the others, until the goal is reached.

    Args:
        candidates: layers, each the names of its nodes.
        make: names to keep -> graph.
        drop: of a graph, in points.
        watch: called with layers measured and layers in all; not at all where nothing has to be measured.
    """
    everything = drop(make(()))
    if everything <= GOAL:
        return ()
    effect: dict[Layer, float] = {}
    for done, layer in enumerate(candidates, 1):
        effect[layer] = everything - drop(make(layer))
        watch(done, len(candidates))
    kept, lost, idle = Layer(), everything, 0
    for layer in sorted(candidates, key=lambda layer: -effect[layer]):
        if lost <= GOAL or idle == PATIENCE:
            break
        now = lost - effect[layer] if not kept else drop(make((*kept, *layer)))
        if lost - now >= GAIN:
            kept, lost, idle = (*kept, *layer), now, 0
        else:
            idle += 1
    return kept
