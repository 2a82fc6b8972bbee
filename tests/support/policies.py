"""Models that were made for certain images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from seg_runtime.model import METADATA_KEY, Policy, to_json_value

from tests.support.damage import resealed

_STORAGE = "1.2.840.10008.5.1.4.1.1."
CT_STORAGE, MR_STORAGE, US_STORAGE, CR_STORAGE = (_STORAGE + end for end in ("2", "4", "6.1", "1"))
FOR_CT = Policy(
    modalities=("CT",), sop_classes=(CT_STORAGE,), orientations=("axial",), unit="HU", spacing_mm=((0.5, 2.0), (0.5, 2.0)),
    trained_spacing_mm=((1.0, 1.0), (1.0, 1.0)),
)  # fmt: skip


def with_parts(model: Path, target: Path, **parts: Any) -> Path:
    """Write a copy of a model with other parts of its contract, such as `policy` and `identity`."""

    def change(proto: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
        changes = {name: to_json_value(part) for name, part in parts.items()}
        entry.value = json.dumps({**json.loads(entry.value), **changes})

    target.write_bytes(resealed(model, change))
    return target
