"""What int8 is made with: where its ranges end, and which layers stay in float. Chosen by the labels that come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import onnx

from .gate import GOAL

TAILS = (1e-4, 1e-5, 1e-3, 0.0)
"""Shares of a tensor's values to cut off at each end. The brightest spots of a few images stretch a range so far that one
of its 255 steps swallows what dim objects are told by."""
GAIN = 0.05  # points of Dice that a layer in float must bring, else it is not worth its time
PATIENCE = 3  # layers in a row that bring nothing, after which no further one is tried

Layer = tuple[str, ...]
Make = Callable[[float, Layer], onnx.ModelProto]


class Loss(NamedTuple):
    """Points of Dice on whole images; see `Cost`."""

    drop: float
    """Against fp32's labels: what is compared, since masks reward errors that happen to fit."""
    off: float
    """Against the masks where there are any: what the goal is about."""


def choose(
    candidates: Sequence[Layer], make: Make, measure: Callable[[onnx.ModelProto], Loss],
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[float, Layer]:  # fmt: skip
    """The tail of the ranges, and the names of nodes to keep in float.

    All in int8 with the tail that loses least, where that reaches the goal. Else each layer's effect is measured with this
    layer alone in float, and they go back into float from the worst on, each only if it brings `GAIN` on top of the others,
    until the goal is reached or nothing helps.

    Args:
        candidates: layers, each the names of its nodes.
        make: tail, names to keep -> graph.
        measure: of a graph.
        watch: called with graphs measured and graphs in all.
    """
    losses = {}
    for done, tail in enumerate(TAILS, 1):
        losses[tail] = measure(make(tail, ()))
        watch(done, len(TAILS))
    tail = min(TAILS, key=lambda tail: losses[tail].drop)
    lost = everything = losses[tail]
    if lost.off <= GOAL:
        return tail, ()
    alone: dict[Layer, Loss] = {}
    for done, layer in enumerate(candidates, 1):
        alone[layer] = measure(make(tail, layer))
        watch(done, len(candidates))
    kept, idle = Layer(), 0
    for layer in sorted(candidates, key=lambda layer: alone[layer].drop):
        if lost.off <= GOAL or idle == PATIENCE:
            break
        now = alone[layer] if lost is everything else measure(make(tail, _joined(kept, layer)))
        if lost.drop - now.drop >= GAIN:
            kept, lost, idle = _joined(kept, layer), now, 0
        else:
            idle += 1
    return tail, kept


def _joined(kept: Layer, layer: Layer) -> Layer:
    """Both, each name once: neighbours share nodes."""
    return tuple(dict.fromkeys((*kept, *layer)))
