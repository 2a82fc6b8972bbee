"""What each kind of answer makes of the logits of a window, as ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import Labels, Objects
from seg_runtime.model import Contract, LabelSpec, ObjectSpec

from .builder import DOUBLE, UINT8, Builder


@dataclass(frozen=True)
class Decision:
    """The decision rule of a kind of answer.

    Attributes:
        build: adds the nodes: logits `(K, h, w)` float32 -> result `(…, h, w)` uint8, see `AnswerSpec.result_axes`.
        levels: largest allowed difference between the result and that of the runtime, for each plane; 0 if empty.
    """

    build: Callable[[Builder, Contract, str], str]
    levels: tuple[int, ...] = ()

    def beyond(self, result: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return where two results differ by more than `levels`."""
        levels = np.array(self.levels or 0, np.int16)
        limit = levels.reshape(*levels.shape, 1, 1)
        return np.asarray(np.abs(result.astype(np.int16) - wanted) > limit)


def labels(b: Builder, contract: Contract, logits: str) -> str:
    """`Labels.window`: `(K, h, w)` float32 -> `(h, w)` uint8."""
    own = Labels(contract)
    count = own.spec.maps
    if own.spec.decision == "threshold":
        objects = b.part(logits, 1, count)
        best = b("Add", b("ArgMax", objects, axis=0, keepdims=0), b.integer(1))
        highest = b.cast(b("ReduceMax", objects, b.ints(0), keepdims=0), DOUBLE)
        reached = b("GreaterOrEqual", highest, b.double(own.threshold_logit))
        return b.cast(b("Where", reached, best, b.integer(0)), UINT8)
    if count == 2:
        first, second = (b("Gather", logits, b.integer(k), axis=0) for k in (0, 1))
        return b.cast(b("Greater", second, first), UINT8)
    return b.cast(b("ArgMax", logits, axis=0, keepdims=0), UINT8)


def planes(b: Builder, contract: Contract, logits: str) -> str:
    """`Objects.window`: `(K, h, w)` float32 -> `(3, h, w)` uint8."""
    spec = Objects(contract).spec
    count = len(spec.classes)
    best = b("Add", b("ArgMax", b.part(logits, 1, count), axis=0, keepdims=1), b.integer(1))
    one = b.const(1, np.float32)
    if spec.separation == "border":
        shares = b("Softmax", logits, axis=0)
        interior = b("ReduceSum", b.part(shares, 1, count), b.ints(0), keepdims=1)
    else:
        shares = b("Softmax", b.part(logits, 0, count), axis=0)
        distance, near = (b("Sigmoid", b.part(logits, k, k + 1)) for k in (count, count + 1))
        interior = b("Relu", b("Sub", distance, b("Mul", near, near)))
    mask = b("Sub", one, b.part(shares, 0, 1))
    return b("Concat", b.cast(best, UINT8), *(_bytes(b, share) for share in (mask, interior)), axis=0)


def _bytes(b: Builder, share: str) -> str:
    return b.cast(b("Round", b("Mul", share, b.const(255, np.float32))), UINT8)


DECISIONS: Mapping[str, Decision] = {
    LabelSpec.kind: Decision(labels),
    # exponentials are rounded differently by each program, and so may be a byte
    ObjectSpec.kind: Decision(planes, (0, 1, 1)),
}
"""The kinds of answers that a host-ready file can give."""
