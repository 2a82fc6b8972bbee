"""Atomic file writes: write a temporary file in the target's folder, flush it to disk, rename it to the target."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import SegError


def write_atomic(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically.

    An existing file at `target` is kept until the new content is complete on disk.

    Args:
        target: the file to create or replace; its folder is created if it does not exist.
        write: writes the content to the open binary file; if it raises, `target` is unchanged and no file is left over.

    Raises:
        SegError: the folder cannot be created or written to, or the disk is full.
    """
    target = Path(os.path.realpath(target))  # a symbolic link is kept and points to the new content
    if os.path.exists(target) and not os.path.isfile(target):  # noqa: PTH110, PTH113 - raise on no name
        raise SegError(f"cannot write {target}, which is not a regular file", "", "choose another file name")
    beside = target.with_name(f".{uuid.uuid4().hex}.partial")  # short, so that it fits wherever the target's name does
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
        raise SegError(f"cannot write {target} ({reason})", "", "free disk space or choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(target: Path) -> None:
    """Check, before a long computation, that a file can be written.

    Raises:
        SegError: `target` is a folder, or its folder cannot be created or written to.
    """
    if target.is_dir():
        raise SegError(f"{target} is a folder", "a file name", f"use, for example, {target / 'model'}{target.suffix}")
    probe = target.with_name(f".{uuid.uuid4().hex}.probe")
    write_atomic(probe, lambda file: None)
    probe.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no handles for folders; NTFS journals the rename
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
