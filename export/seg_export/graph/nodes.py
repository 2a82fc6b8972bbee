"""Preparing graphs for quantizers."""

from __future__ import annotations

import onnx


def with_node_names(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a graph with a name for each node, because quantizers identify nodes by name."""
    result = onnx.ModelProto()
    result.CopyFrom(graph)
    taken = {n.name for n in result.graph.node}
    for place, node in enumerate(result.graph.node):
        if not node.name:
            node.name = next(n for n in (f"{node.op_type}_{place}{'_' * i}" for i in range(9)) if n not in taken)
            taken.add(node.name)
    return result
