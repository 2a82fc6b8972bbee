"""The contract goes into the ONNX file's metadata and a digest to its end, where the runtime reads them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx
import torch
from seg_runtime.contract import METADATA_KEY, Contract
from seg_runtime.digest import sealed
from seg_runtime.golden import GOLDEN_KEY
from seg_runtime.version import VERSION


def stamped(graph: onnx.ModelProto, contract: Contract, golden: str = "") -> bytes:
    """The file's content: the graph with the contract in its `metadata_props` and, last of all, its own digest.

    Args:
        graph: as made by `to_onnx`; its metadata is replaced.
        contract: of the model.
        golden: text of `Golden.to_text`; empty leaves the golden samples out.
    """
    props = {METADATA_KEY: contract.to_json(), **({GOLDEN_KEY: golden} if golden else {})}
    onnx.helper.set_model_props(graph, props)
    graph.producer_name, graph.producer_version = "seg-edge", VERSION
    content: bytes = graph.SerializeToString(deterministic=True)
    return sealed(content)


def with_export(contract: Contract, graph: onnx.ModelProto, weights_sha256: str, forms: Mapping[str, str]) -> Contract:
    """The contract with the versions that made the graph, and the forms of layers that were rewritten."""
    facts: dict[str, Any] = {
        "weights_sha256": weights_sha256,
        "exported_with": {"seg-edge": VERSION, "torch": str(torch.__version__), "onnx": onnx.__version__},
        "opset": max(o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")),
        "ir_version": graph.ir_version,
        "rewritten": dict(forms),
    }
    return replace(contract, provenance={**contract.provenance, **facts})
