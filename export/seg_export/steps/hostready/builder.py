"""A graph under construction: nodes are added by calling it, names are made up here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

INT64, FLOAT, DOUBLE = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
UINT8, BOOL = onnx.TensorProto.UINT8, onnx.TensorProto.BOOL
ONNX_TYPES = {"uint8": UINT8, "uint16": onnx.TensorProto.UINT16, "float32": FLOAT}


class Builder:
    """Nodes and constants of one graph or subgraph, in order.

    >>> b = Builder("pre")
    >>> total = b("Add", "x", b.const(1, np.int64))
    >>> b.nodes[0].op_type
    'Add'
    """

    def __init__(self, prefix: str) -> None:
        """Start a graph whose names begin with `prefix`, which keeps them apart from those of an outer graph."""
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def name(self) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{self.prefix}/{self._count}"

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of a standard operator; the name of its first output."""
        output = self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}/{op}", **attributes))
        return output

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """Add a node with outputs of given names."""
        self.nodes.append(helper.make_node(op, list(inputs), list(outputs), name=f"{self.name()}/{op}", **attributes))

    def const(self, value: ArrayLike, dtype: DTypeLike) -> str:
        """A constant."""
        name = self.name()
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """A constant `(n,)` int64."""
        return self.const(values, np.int64)

    def integer(self, value: int) -> str:
        """A constant int64 scalar."""
        return self.const(value, np.int64)

    def double(self, value: float) -> str:
        """A constant float64 scalar."""
        return self.const(value, np.float64)

    def cast(self, value: str, to: int) -> str:
        """`value` as another dtype."""
        return self("Cast", value, to=to)

    def size(self, value: str, axis: int) -> str:
        """Length of an axis, int64 scalar."""
        return self("Squeeze", self("Shape", value, start=axis, end=axis + 1))

    def shape(self, *lengths: str) -> str:
        """A shape `(n,)` int64 of scalars."""
        return self("Concat", *(self("Unsqueeze", length, self.ints(0)) for length in lengths), axis=0)

    @property
    def turn(self) -> str:
        """Number of the turn, int64 scalar, where this is the body of a Loop."""
        return f"{self.prefix}/turn"

    def count(self, length: str) -> str:
        """0, 1, … below `length`, int64."""
        return self("Range", self.integer(0), length, self.integer(1))

    def column(self, values: str) -> str:
        """`(n,)` -> `(n, 1)`."""
        return self("Unsqueeze", values, self.ints(1))

    def slice(self, values: str, start: str, end: str, axis: int) -> str:
        """`values[start:end]` on one axis; `start` and `end` int64 scalars."""
        zero = self.ints(0)
        ends = (self("Unsqueeze", place, zero) for place in (start, end))
        return self("Slice", values, *ends, self.ints(axis))

    def loop(self, turns: str, body: Builder, scanned: Sequence[tuple[str, int, int]]) -> list[str]:
        """A Loop of `turns` turns; the results of all turns, stacked on a new first axis.

        Args:
            turns: int64 scalar.
            body: what one turn does; it may read names of this graph.
            scanned: for each result its name in the body, ONNX type and rank.
        """
        on, going = f"{body.prefix}/on", f"{body.prefix}/going"
        body.node("Identity", [on], [going])
        info = helper.make_tensor_value_info
        inputs = [info(body.turn, INT64, []), info(on, BOOL, [])]
        outputs = [info(going, BOOL, []), *(info(name, kind, [None] * rank) for name, kind, rank in scanned)]
        graph = helper.make_graph(body.nodes, body.prefix, inputs, outputs, body.initializers)
        stacks = [self.name() for _ in scanned]
        self.node("Loop", [turns, self.const(True, np.bool_)], stacks, body=graph)
        return stacks
