"""What `seg-run` offers and does not do itself: tools of other packages, found by an entry point and never imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support import Registry

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done and how many in all."""
Report = tuple[str, dict[str, Any]]
"""What came of it, for a person and for JSON."""

TOOLS: Registry[Callable[..., Report]] = Registry("seg_edge.tools", "tool", {})


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """What to tune; the tool `tune` is called with this and a `Progress`, and returns a `Report`.

    Attributes:
        model: the file to tune.
        target: the file to write.
        overwrite: replace what is there.
        threads: of the inference; None takes all that this process may use.
        require_signature: PEM file of the public key that must have signed the model.
    """

    model: Path
    target: Path
    overwrite: bool = False
    threads: int | None = None
    require_signature: Path | None = None


def tuned_name(model: Path, out: Path | None) -> Path:
    """The file that a tuned model is written to: `out` itself where its name ends in .onnx, else NAME.tuned.onnx in that folder.

    Args:
        model: the file to tune.
        out: as named by a person; None for the model's own folder.
    """
    if out is not None and out.suffix.lower() == ".onnx" and not out.is_dir():
        return out
    return (model.parent if out is None else out) / f"{model.stem}.tuned.onnx"


def find_tool(name: str) -> Callable[..., Report]:
    """The tool that an installed package offers under this name.

    Raises:
        SegError: none does, or its package is not whole.
    """
    return TOOLS.get(name, f"pip install 'seg-edge[{name}]'")
