"""Settings of int8: the ends of the ranges, and the layers that stay in float. They are chosen by the resulting labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx

TAILS = (1e-4, 1e-5, 1e-3, 0.0)
"""Fractions of the values of a tensor to clip at each end. The brightest spots of a few images can extend a range so far
that dim objects differ by less than one of its 255 steps."""
GAIN = 0.05  # Dice points that a layer in float must gain to be worth its time
PATIENCE = 3  # the search stops after this number of layers in a row without a gain

Layer = tuple[str, ...]
Make = Callable[[float, Layer], onnx.ModelProto]


def choose(
    candidates: Sequence[Layer], make: Make, lost_by: Callable[[onnx.ModelProto], float], goal: float,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[float, Layer]:  # fmt: skip
    """Choose the tail of the ranges, and the names of the nodes to keep in float.

    If int8 with the best tail reaches the goal, all layers are int8. Otherwise, the effect of each layer is measured with
    this layer alone in float. Layers then return to float, those with the largest effect first, if each gains at least
    `GAIN` in addition to the others, until the goal is reached or nothing helps.

    Args:
        candidates: layers, each as the names of its nodes.
        make: tail, names to keep -> graph.
        lost_by: returns the error of a graph on whole images in Dice points, see `Cost.off`.
        goal: acceptable error in Dice points.
        watch: called with the number of graphs measured and the total.
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
    """Join two layers, with each name once, because neighbours share nodes."""
    return tuple(dict.fromkeys((*kept, *layer)))
