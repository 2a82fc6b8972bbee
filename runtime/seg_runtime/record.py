"""The machine-readable record of a result: model, input, provider, result and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .engine import Session
from .formats import Page


def record_of(
    session: Session, page: Page, sha256: str, facts: Mapping[str, Any], ms: Mapping[str, float]
) -> dict[str, Any]:
    """Return the machine-readable record of a result: model, input, provider, result and times.

    Args:
        session: session that ran the model.
        page: the image.
        sha256: digest of the file's content, or of the array's bytes if there is no file.
        facts: facts about the result, see `Answer.record`.
        ms: milliseconds per stage; `load` and `warm_up` are in the first record after they happened.
    """
    *depth, height, width, channels = page.array.shape
    contract, provider, common = session.contract, session.provider, session.facts()
    return {
        "input": {
            "name": Path(page.name).name,
            "sha256": sha256,
            **({"depth": depth[0]} if depth else {}),
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": str(page.array.dtype),
            **{key: value for key, value in asdict(page.acquisition).items() if value},
        },
        "model": {
            **common["model"],
            "geometry": contract.geometry.method,
            "window": list(contract.geometry.input_shape),
            "batch": contract.file.batch,
            "intensity": contract.input.intensity.method,
            "tta": session.options.tta,
        },
        "provider": {
            **common["provider"],
            **({"cuda_graph": session.cuda_graph} if "cuda_graph" in provider.takes else {}),
            **({} if provider.universal else {"nodes": session.placement}),
        },
        "versions": common["versions"],
        "run": common["run"],
        **facts,
        "ms": {stage: round(value, 3) for stage, value in ms.items()},
    }
