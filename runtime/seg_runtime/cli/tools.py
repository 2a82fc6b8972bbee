"""What `seg-run` can be told to do and does not do itself: found by an entry point, so that nothing here imports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.errors import SegError

GROUP = "seg_edge.tools"

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many are done and how many in all."""
Told = tuple[str, dict[str, Any]]
"""What came of it, for a person and for JSON."""


@dataclass(frozen=True)
class TuneWishes:
    """What to tune; the tool `tune` is called with this and a `Watch`, and answers what it `Told`."""

    model: Path
    target: Path
    """The file to write."""
    overwrite: bool = False
    """Replace what is there."""
    threads: int | None = None
    """Of the inference; None takes all that this process may use."""
    require_signature: Path | None = None
    """PEM file of the public key that must have signed the model."""


def tuned_name(model: Path, out: Path | None) -> Path:
    """The file that a tuned model is written to: `out` itself where its name ends in .onnx, else NAME.tuned.onnx in that folder.

    Args:
        model: the file to tune.
        out: as named by a person; None for the model's own folder.
    """
    if out is not None and out.suffix.lower() == ".onnx" and not out.is_dir():
        return out
    return (model.parent if out is None else out) / f"{model.stem}.tuned.onnx"


def find_tool(name: str) -> Callable[..., Any]:
    """The tool that an installed package offers under this name.

    Raises:
        SegError: none does, or its package is not whole.
    """
    from importlib.metadata import entry_points

    fix = f"pip install 'seg-edge[{name}]'"
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        raise SegError(f"this installation has no tool {name!r}", f"the extra {name!r}", fix)
    try:
        tool: Callable[..., Any] = found.load()
    except (ImportError, AttributeError) as error:
        raise SegError(f"the tool {name!r} cannot be loaded ({error})", f"the extra {name!r}", fix) from error
    return tool
