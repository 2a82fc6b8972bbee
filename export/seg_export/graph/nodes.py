"""Copies of graphs, which a step may change."""

from __future__ import annotations

import onnx


def copied(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that shares nothing with the graph."""
    result: onnx.ModelProto = onnx.ModelProto.FromString(graph.SerializeToString())
    return result


def with_node_names(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with a name for each node, by which quantizers distinguish them."""
    result = copied(graph)
    taken = {n.name for n in result.graph.node}
    for place, node in enumerate(result.graph.node):
        if not node.name:
            node.name = next(n for n in (f"{node.op_type}_{place}{'_' * i}" for i in range(9)) if n not in taken)
            taken.add(node.name)
    return result
