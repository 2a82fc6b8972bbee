"""What a machine reads about a result: which model, which input, which provider, what came out, how long it took."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL

from .engine.session import Session
from .pipeline import Array
from .version import VERSION


def make_record(
    session: Session, name: str, input_sha256: str, image: Array, told: Mapping[str, Any], ms: Mapping[str, float], tta: bool,
) -> dict[str, Any]:  # fmt: skip
    """The record of one image or page that was answered, ready for JSON.

    Args:
        session: the model that answered.
        name: of the input, without its folder.
        input_sha256: of the file's content, or of the array's bytes where there was no file.
        image: `(*spatial, C)` as decoded.
        told: of its answer, see `Answer.record`.
        ms: milliseconds per stage; `load` and `warm_up` are in the first record after they happened.
        tta: whether each window was answered by the mean over its eight views.
    """
    *depth, height, width, channels = image.shape
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
            "sha256": session.sha256,
            "form": session.contract.file.kind,
            "precision": session.contract.file.precision,
            "geometry": session.contract.geometry.method,
            "window": list(session.contract.geometry.input_shape),
            "batch": session.contract.file.batch,
            "intensity": session.contract.input.intensity.method,
            "tta": tta,
        },
        "provider": {
            "asked": session.provider_asked,
            "used": session.provider,
            "fast_math": session.fast_math,
            **({"cuda_graph": session.cuda_graph} if session.provider == "cuda" else {}),
            **({"nodes": session.placement} if session.provider != "cpu" else {}),
        },
        "versions": versions(session.runtime_version),
        **told,
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
        "model": {
            "sha256": session.sha256,
            "form": session.contract.file.kind,
            "precision": session.contract.file.precision,
        },
        "provider": {
            "asked": session.provider_asked,
            "used": session.provider,
            "reason": session.provider_reason,
            "fast_math": session.fast_math,
        },
        "placement": session.placement,
        "versions": versions(session.runtime_version),
    }


def versions(onnxruntime: str) -> dict[str, str]:
    """Versions of all that computes an answer."""
    return {
        "seg-edge": VERSION,
        "onnxruntime": onnxruntime,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
    }


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
