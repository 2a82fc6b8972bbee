"""A graph builder that adds nodes when it is called and generates their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike
from onnx import helper, numpy_helper

INT64, FLOAT, DOUBLE = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE
UINT8, BOOL, INT32 = onnx.TensorProto.UINT8, onnx.TensorProto.BOOL, onnx.TensorProto.INT32
ONNX_TYPES = {"uint8": UINT8, "uint16": onnx.TensorProto.UINT16, "float32": FLOAT}


class Builder:
    """Builder of one graph or subgraph.

    >>> b = Builder("pre")
    >>> total = b("Add", "x", b.const(1, np.int64))
    >>> b.nodes[0].op_type
    'Add'
    """

    def __init__(self, prefix: str) -> None:
        """Start a graph whose names begin with `prefix`, so that they differ from those of an outer graph."""
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def name(self) -> str:
        """Generate a unique name."""
        self._count += 1
        return f"{self.prefix}/{self._count}"

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of a standard operator and return the name of its output."""
        output = self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=f"{output}/{op}", **attributes))
        return output

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """Add a node with given names of outputs."""
        self.nodes.append(helper.make_node(op, list(inputs), list(outputs), name=f"{self.name()}/{op}", **attributes))

    def const(self, value: ArrayLike, dtype: DTypeLike) -> str:
        """Add a constant and return its name."""
        name = self.name()
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        """Add a constant `(n,)` int64."""
        return self.const(values, np.int64)

    def integer(self, value: int) -> str:
        """Add a constant int64 scalar."""
        return self.const(value, np.int64)

    def double(self, value: float) -> str:
        """Add a constant float64 scalar."""
        return self.const(value, np.float64)

    def cast(self, value: str, to: int) -> str:
        """Convert `value` to another dtype."""
        return self("Cast", value, to=to)

    def size(self, value: str, axis: int) -> str:
        """Compute the length of an axis, int64 scalar."""
        return self("Squeeze", self("Shape", value, start=axis, end=axis + 1))

    def shape(self, *lengths: str) -> str:
        """Combine scalars to a shape `(n,)` int64."""
        return self("Concat", *(self("Unsqueeze", length, self.ints(0)) for length in lengths), axis=0)

    @property
    def turn(self) -> str:
        """Name of the iteration number, int64 scalar, in the body of a Loop."""
        return f"{self.prefix}/turn"

    def count(self, length: str) -> str:
        """Compute the range 0, 1, … below `length`, int64."""
        return self("Range", self.integer(0), length, self.integer(1))

    def column(self, values: str) -> str:
        """Reshape `(n,)` to `(n, 1)`."""
        return self("Unsqueeze", values, self.ints(1))

    def part(self, values: str, start: int, end: int) -> str:
        """Compute `values[start:end]` along the first axis."""
        return self("Slice", values, self.ints(start), self.ints(end), self.ints(0))

    def slice(self, values: str, start: str, end: str, axis: int) -> str:
        """Compute `values[start:end]` along one axis; `start` and `end` are int64 scalars."""
        zero = self.ints(0)
        ends = (self("Unsqueeze", place, zero) for place in (start, end))
        return self("Slice", values, *ends, self.ints(axis))

    def choose(self, condition: str, yes: Builder, no: Builder, kind: int, rank: int) -> str:
        """Add an If, and return its result: the last value of `yes` or of `no`, which may read names of this graph.

        Args:
            condition: bool scalar.
            yes: builder of the branch that is computed if the condition is true.
            no: builder of the other branch.
            kind: ONNX type of the result.
            rank: number of its axes.
        """
        branches = {}
        for name, branch in (("then_branch", yes), ("else_branch", no)):
            output = helper.make_tensor_value_info(branch.nodes[-1].output[0], kind, [None] * rank)
            branches[name] = helper.make_graph(branch.nodes, branch.prefix, [], [output], branch.initializers)
        return self("If", condition, **branches)

    def loop(self, turns: str, body: Builder, scanned: Sequence[tuple[str, int, int]]) -> list[str]:
        """Add a Loop, and return its results stacked along a new first axis.

        Args:
            turns: number of iterations, int64 scalar.
            body: builder of one iteration; it may read names of this graph.
            scanned: name in the body, ONNX type and rank of each result.
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

    def given(self, name: str) -> str:
        """Name of a value at the begin of an iteration, in the body of `repeat`."""
        return f"{self.prefix}/given/{name}"

    def repeat(
        self, values: Mapping[str, tuple[str, int, int]], body: Builder, ends: Mapping[str, str], going: tuple[str, str]
    ) -> dict[str, str]:
        """Add a Loop that carries values from one iteration to the next, and return their last names.

        Args:
            values: first name, ONNX type and rank of each value; its lengths may change.
            body: builder of one iteration, which reads the values by `body.given`; it may read names of this graph.
            ends: name of each value at the end of an iteration, which the body must have computed.
            going: bool scalars: whether to begin, and, in the body, whether to go on.
        """
        info, begin, on = helper.make_tensor_value_info, *going
        kinds = [(name, kind, [None] * rank) for name, (_, kind, rank) in values.items()]
        inputs = [info(body.turn, INT64, []), info(f"{body.prefix}/on", BOOL, [])]
        inputs += [info(body.given(name), kind, shape) for name, kind, shape in kinds]
        outputs = [info(on, BOOL, []), *(info(ends[name], kind, shape) for name, kind, shape in kinds)]
        graph = helper.make_graph(body.nodes, body.prefix, inputs, outputs, body.initializers)
        last = {name: self.name() for name in values}
        self.node("Loop", ["", begin, *(first for first, _, _ in values.values())], list(last.values()), body=graph)
        return last
