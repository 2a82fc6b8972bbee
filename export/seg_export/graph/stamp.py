"""Stamping: the contract is stored in the metadata of the ONNX file and a digest at its end, for the runtime."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from seg_runtime.model import GOLDEN_KEY, METADATA_KEY, Contract, sealed
from seg_runtime.support import VERSION

OPSET = 18
IR_VERSION = 9  # ONNX Runtime 1.18 loads IR up to 10


def stamped(
    graph: onnx.ModelProto, contract: Contract, golden: str = "", entries: Mapping[str, str] | None = None
) -> bytes:
    """Serialize a graph with the contract in its `metadata_props` and a digest of the file at the end.

    Args:
        graph: graph, whose metadata is replaced.
        contract: contract of the model.
        golden: text of `Golden.to_text`; empty for no golden samples.
        entries: further metadata.
    """
    props = {METADATA_KEY: contract.to_json(), **({GOLDEN_KEY: golden} if golden else {}), **(entries or {})}
    onnx.helper.set_model_props(graph, props)
    graph.producer_name, graph.producer_version = "seg-edge", VERSION
    content: bytes = graph.SerializeToString(deterministic=True)
    return sealed(content)
