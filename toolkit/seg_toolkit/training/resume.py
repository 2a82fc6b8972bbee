"""Interrupted runs: find the state of a run, and compare its settings with those of a call with `--resume`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seg_runtime.model import Contract
from seg_runtime.support import SegError

from ..checkpoints import Checkpoint, load
from ..options import TrainOptions


def interrupted_run(model: Path, state: Path) -> Checkpoint:
    """Read the state of an interrupted run.

    Args:
        model: path of the model.
        state: path of its state.

    Raises:
        SegError: if there is none, or the file cannot be read.
    """
    if not state.exists():
        raise SegError(f"there is no interrupted run at {model}", "", "leave out --resume to start one")
    found = load(state)
    if not found.training:
        raise SegError(f"{state} contains no training state", "", "train without --resume")
    return found


def check_target(model: Path, state: Path) -> None:
    """Check that no model and no unfinished run would be replaced.

    Raises:
        SegError: if one would; the message says whether `--resume` can continue it.
    """
    for there in (model, state):
        if there.is_file():
            advice = "choose another -o, or replace it with --overwrite"
            with contextlib.suppress(SegError):  # a damaged or missing state cannot be continued
                if not _finished(interrupted_run(model, state)):
                    advice = "continue with --resume, or start again with --overwrite"
            raise SegError(f"{there} exists already", "", advice)


def check_settings(model: Path, state: Checkpoint, now: Mapping[str, Any], contract: Contract | None = None) -> None:
    """Check that a call has the settings of an interrupted run.

    Args:
        model: path of the model.
        state: state of the run.
        now: settings of the training and the network by name; all, or those that are known already.
        contract: contract of the call; None if it is not known yet.

    Raises:
        SegError: if something differs; the message lists the options.
    """
    then = {**state.training["settings"], **state.network}
    changed = {name for name, value in now.items() if _plain(then.get(name)) != _plain(value)}
    if not changed and (contract is None or contract.to_json() == state.contract.to_json()):
        return
    listed = [f"{flag} {_shown(then.get(n))} → {_shown(now[n])}" for n, flag in _flags().items() if n in changed]
    differs = ", ".join(listed) or "the data or other options differ"
    if _finished(state):
        problem = f"the run of {model} is finished, and it had other settings ({differs})"
        raise SegError(problem, "", "choose another -o, or start again with --overwrite")
    problem = f"--resume needs the settings of the interrupted run ({differs})"
    raise SegError(problem, "", "use the same options and data, or start again with --overwrite")


def _finished(state: Checkpoint) -> bool:
    return bool(state.training["step"] >= state.training["settings"]["steps"])


def _flags() -> dict[str, str]:
    """Names of settings, and the options that set them."""
    options = {f.name: flag for flag, f in TrainOptions.options().items()}
    return {"recipe": "--recipe", "kind": "--network", "in_channels": "--channels", **options}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    return "+".join(f"{v:.3g}" for v in value) if isinstance(value, (list, tuple)) else str(value)
