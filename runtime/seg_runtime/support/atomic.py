"""Files appear whole or not at all: written beside the target, flushed to disk, renamed over it."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import SegError


def write_atomic(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` with an open binary file and put what it wrote at `target` in one step.

    Whatever stood at `target` stays as it was until the new content is complete on disk.

    Args:
        target: the file to create or replace; its folder is created when missing.
        write: receives the open file; an exception from it leaves `target` untouched and no leftover file.

    Raises:
        SegError: the folder cannot be created or written to, or the disk is full.
    """
    target = Path(os.path.realpath(target))  # a link stays one, and leads to the new content
    if os.path.exists(target) and not os.path.isfile(target):  # noqa: PTH110, PTH113 - never raise on odd names
        raise SegError(f"cannot write {target} (it is no regular file)", "the name of a file", "choose another")
    beside = target.with_name(f".{uuid.uuid4().hex}.partial")  # short, so that every legal target name has room
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("x+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SegError(f"cannot write {target} ({reason})", "", "free the disk or choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(target: Path) -> None:
    """Refuse a target before hours of work go into it.

    Raises:
        SegError: `target` is a folder, or its folder cannot be created or written to.
    """
    if target.is_dir():
        raise SegError(f"{target} is a folder", "the name of a file", f"for example {target / 'model'}{target.suffix}")
    probe = target.with_name(f".{uuid.uuid4().hex}.probe")
    write_atomic(probe, lambda file: None)
    probe.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no handle for a folder; NTFS journals the rename itself
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
