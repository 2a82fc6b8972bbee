"""What int8 is made with: where its ranges end, and which layers stay in float. Chosen by the labels that come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx

TAILS = (1e-4, 1e-5, 1e-3, 0.0)
"""Shares of a tensor's values to cut off at each end. The brightest spots of a few images stretch a range so far that one
of its 255 steps swallows what distinguishes dim objects."""
GAIN = 0.05  # points of Dice that a layer in float must bring, else it is not worth its time
PATIENCE = 3  # layers in a row that bring nothing, after which no further one is tried

Layer = tuple[str, ...]
Make = Callable[[float, Layer], onnx.ModelProto]


def choose(
    candidates: Sequence[Layer], make: Make, lost_by: Callable[[onnx.ModelProto], float], goal: float,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[float, Layer]:  # fmt: skip
    """The tail of the ranges, and the names of nodes to keep in float.

    All in int8 with the tail that loses least, where that reaches the goal. Else each layer's effect is measured with this
    layer alone in float, and they go back into float from the worst on, each only if it brings `GAIN` on top of the others,
    until the goal is reached or nothing helps.

    Args:
        candidates: layers, each the names of its nodes.
        make: tail, names to keep -> graph.
        lost_by: points of Dice that a graph is off by on whole images, see `Cost.off`.
        goal: points of Dice with which all is well.
        watch: called with graphs measured and graphs in all.
    """
    losses = {}
    for done, tail in enumerate(TAILS, 1):
        losses[tail] = lost_by(make(tail, ()))
        watch(done, len(TAILS))
    tail = min(TAILS, key=losses.__getitem__)
    lost = everything = losses[tail]
    if lost <= goal:
        return tail, ()
    alone: dict[Layer, float] = {}
    for done, layer in enumerate(candidates, 1):
        alone[layer] = lost_by(make(tail, layer))
        watch(done, len(candidates))
    kept, idle = Layer(), 0
    for layer in sorted(candidates, key=alone.__getitem__):
        if lost <= goal or idle == PATIENCE:
            break
        now = alone[layer] if lost is everything else lost_by(make(tail, _joined(kept, layer)))
        if lost - now >= GAIN:
            kept, lost, idle = _joined(kept, layer), now, 0
        else:
            idle += 1
    return tail, kept


def _joined(kept: Layer, layer: Layer) -> Layer:
    """Both, each name once: neighbours share nodes."""
    return tuple(dict.fromkeys((*kept, *layer)))
