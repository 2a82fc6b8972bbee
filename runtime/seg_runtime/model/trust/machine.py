"""The policy of the machine: what all models must be that run on it, whoever runs them.

It is a JSON file with the fields of `Requirements` that only the administrator can write:

    {"signature": "/etc/seg-edge/hospital.pub", "models": {"liver-ct": "1.2"}, "sha256": ["9f86d081884c7d65..."]}

Neither an option nor an environment variable chooses another file. A policy that cannot be used allows no model. It
guards against mistakes, not against a user who runs other programs.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...support import ModelError, SegError, open_file, parse_json
from .requirements import Requirements

OWNER = 0  # root, of the policy, its folder and its key
_LARGEST = 1 << 20  # bytes
_FIELDS = {"signature": str, "models": dict, "sha256": list}


def _place() -> Path:
    if sys.platform != "win32":
        return Path("/etc/seg-edge/policy.json")
    import ctypes  # the user can change the environment variable PROGRAMDATA, but not what Windows itself says

    folder = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemWindowsDirectoryW(folder, len(folder))
    return Path(Path(folder.value).anchor, "ProgramData", "seg-edge", "policy.json")


PLACE = _place()


class Machine(NamedTuple):
    """The policy of the machine.

    Attributes:
        file: its file; None if the machine has none.
        requirements: what it requires.
    """

    file: Path | None
    requirements: Requirements

    @property
    def name(self) -> str:
        """What it is called in errors."""
        return f"the policy of this machine, {self.file},"


def machine_requirements() -> Machine:
    """Read the policy of the machine, anew for each model.

    Raises:
        ModelError: there is one that cannot be read, is not protected, or is invalid. No model may run then.
    """
    if not os.path.lexists(PLACE) and _readable(PLACE.parent):
        return Machine(None, Requirements())
    try:
        return Machine(PLACE, _requirements(_protected(PLACE)))
    except OSError as error:
        reason = error.strerror or str(error)
    except SegError as error:  # of a field
        reason = f"{error.problem}; expected {error.expected}"
    except ValueError as error:
        reason = str(error)
    problem = f"the policy of this machine, {PLACE}, cannot be used ({reason})"
    raise ModelError(problem, "", "ask the administrator to correct it: until then, no model runs")


def _readable(folder: Path) -> bool:
    """Return whether a missing file is missing, instead of hidden in a folder that cannot be searched."""
    return not os.path.lexists(folder) or (folder.is_dir() and os.access(folder, os.X_OK))


def _requirements(data: bytes) -> Requirements:
    """Return the requirements in a policy. Raises ValueError or SegError with what is wrong."""
    raw = parse_json(data, object_pairs_hook=_once)
    if not isinstance(raw, dict) or not raw:
        raise ValueError(f"it is no JSON object with {', '.join(_FIELDS)}")
    if unknown := sorted(raw.keys() - _FIELDS):
        raise ValueError(f"the entry {unknown[0]!r} is unknown")
    for name, value in raw.items():
        inner = value.values() if isinstance(value, dict) else value
        if type(value) is not _FIELDS[name] or not value or not all(isinstance(text, str) for text in inner):
            raise ValueError(f"the entry {name!r} is empty or not as documented")
    if key := raw.get("signature"):
        if not Path(key).is_absolute():
            raise ValueError("the path of the key is not absolute")
        _protected(Path(key))
    return Requirements(**{**raw, "sha256": tuple(raw.get("sha256", ()))})


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("an entry occurs twice")
    return found


def _protected(path: Path) -> bytes:
    """Read a file that only the administrator can change.

    Raises:
        OSError: it cannot be read.
        ValueError: another user owns it or its folder, or can write to it.
    """
    with os.fdopen(open_file(path), "rb") as file:
        if hasattr(os, "getuid"):  # on Windows, the administrator sets the permissions of the folder
            for what, state in ((path, os.fstat(file.fileno())), (path.parent, path.parent.stat())):
                if state.st_uid != OWNER or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise ValueError(f"{what} belongs to another user than root, or others can write to it")
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{path} has more than {_LARGEST} bytes")
    return data
