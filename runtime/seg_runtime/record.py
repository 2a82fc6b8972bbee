"""What a machine reads about a result: which model, which input, which provider, what came out, how long it took."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL

from .engine.session import Session
from .pipeline import Array
from .version import versions_of


def make_record(
    session: Session, name: str, input_sha256: str, image: Array, facts: Mapping[str, Any], ms: Mapping[str, float]
) -> dict[str, Any]:
    """The record of one image or page that was answered, ready for JSON.

    Args:
        session: the model that answered.
        name: of the input, without its folder.
        input_sha256: of the file's content, or of the array's bytes where there was no file.
        image: `(*spatial, C)` as decoded.
        facts: about its answer, see `Answer.record`.
        ms: milliseconds per stage; `load` and `warm_up` are in the first record after they happened.
    """
    *depth, height, width, channels = image.shape
    contract, provider = session.contract, session.provider
    return {
        "input": {
            "name": name,
            "sha256": input_sha256,
            **({"depth": depth[0]} if depth else {}),
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": str(image.dtype),
        },
        "model": {
            **_model(session),
            "geometry": contract.geometry.method,
            "window": list(contract.geometry.input_shape),
            "batch": contract.file.batch,
            "intensity": contract.input.intensity.method,
            "tta": session.options.tta,
        },
        "provider": {
            **_provider(session),
            **({"cuda_graph": session.cuda_graph} if "cuda_graph" in provider.takes else {}),
            **({} if provider.universal else {"nodes": session.placement}),
        },
        "versions": versions(session.runtime_version),
        **facts,
        "ms": {stage: round(value, 3) for stage, value in ms.items()},
    }


def test_report(session: Session, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What a machine reads about a self-test.

    Args:
        session: the model that was tested.
        figures: of `SelfTest.as_dict`.
    """
    return {
        "self_test": dict(figures),
        "model": _model(session),
        "provider": {**_provider(session), "reason": session.provider_reason},
        "placement": session.placement,
        "versions": versions(session.runtime_version),
    }


def _model(session: Session) -> dict[str, Any]:
    file = session.contract.file
    return {"sha256": session.sha256, "form": file.kind, "precision": file.precision}


def _provider(session: Session) -> dict[str, Any]:
    asked = session.options
    return {"asked": asked.provider, "used": session.provider.name, "fast_math": asked.fast_math}


def versions(onnxruntime: str) -> dict[str, str]:
    """Versions of all that computes an answer."""
    return {**versions_of(numpy=np, pillow=PIL), "onnxruntime": onnxruntime, "python": platform.python_version()}


def stack_record(
    pages: Sequence[Mapping[str, Any]], ms: Mapping[str, float], outputs: Mapping[str, str]
) -> dict[str, Any]:
    """The record of a file: of its one page, or what all pages share with a list of the rest.

    Args:
        pages: of `make_record`.
        ms: further milliseconds per stage and page.
        outputs: names of the files written, by kind.
    """
    timed = [{**page, "ms": {**page["ms"], **{k: round(v, 3) for k, v in ms.items()}}} for page in pages]
    if len(timed) == 1:
        return {**timed[0], "outputs": dict(outputs)}
    shared = {key: timed[0][key] for key in ("model", "provider", "versions")}
    source = {"name": timed[0]["input"]["name"], "sha256": timed[0]["input"]["sha256"], "pages": len(timed)}
    listed = [{key: value for key, value in page.items() if key not in shared} for page in timed]
    return {"input": source, **shared, "pages": listed, "outputs": dict(outputs)}
