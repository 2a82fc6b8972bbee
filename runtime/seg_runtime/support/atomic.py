"""Atomic file writes: write a temporary file in the target's folder, flush it to disk, rename it to the target."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .errors import SegError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed or renamed, so that nothing has to be locked
    fcntl = None  # type: ignore[assignment]

_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.partial")
_ADVICE = {
    errno.ENAMETOOLONG: "shorten the name of the file from which it is made, or of the folder",
    errno.ENOSPC: "free disk space or choose another folder",
    errno.EDQUOT: "free disk space or choose another folder",
}
"""What helps against errors of the system when a file is written."""
_tidied: set[str] = set()


def write_atomic(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file atomically.

    An existing file at `target` is kept until the new content is complete on disk. A symbolic link is kept and points to
    the new content.

    Args:
        target: the file to create or replace; its folder is created if it does not exist.
        write: writes the content to the open binary file; if it raises, `target` is unchanged and no file is left over.

    Raises:
        SegError: the folder cannot be created or written to, or the disk is full.
    """
    with prepared(Path(os.path.realpath(target)), write) as put:
        put()


@contextlib.contextmanager
def prepared(target: Path, write: Callable[[BinaryIO], object]) -> Iterator[Callable[[], None]]:
    """Write the content of a file beside it, and give a function that puts it in place at once.

    The content is removed if the function is not called. A symbolic link at `target` is replaced, not followed.

    Raises:
        SegError: as `write_atomic`; the function raises it, too.
    """
    if os.path.exists(target) and not os.path.isfile(target):  # noqa: PTH110, PTH113 - raise on no name
        raise SegError(f"cannot write {target}, which is not a regular file", "", "choose another file name")
    with _explained(target), contextlib.suppress(FileNotFoundError):
        target.lstat()  # a name that is too long fails here, before anything is written
    with _explained(target), _beside(target.parent) as (path, file):
        write(file)
        file.flush()
        os.fsync(file.fileno())

        def put() -> None:
            with _explained(target):
                path.replace(target)
                _sync_folder(target.parent)

        yield put


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that the files of one result are replaced together. Another process waits.

    The system releases the lock of a killed process. Without locks, as on some network file systems, nothing is locked.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def check_writable(target: Path) -> None:
    """Check, before a long computation, that a file can be written.

    Raises:
        SegError: `target` is a folder, or its folder cannot be created or written to.
    """
    if target.is_dir():
        raise SegError(f"{target} is a folder", "a file name", f"use, for example, {target / 'model'}{target.suffix}")
    with prepared(Path(os.path.realpath(target)), lambda file: None):
        pass


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Open a new temporary file in a folder, and remove it at the end unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    _tidy(folder)
    while True:
        path = folder / f".{uuid.uuid4().hex}.partial"  # short, so that it fits wherever the target's name does
        with path.open("x+b") as file:
            try:
                if not _owned(file):
                    continue  # another process tidied it away before it was locked
                yield path, file
            finally:
                with contextlib.suppress(OSError):
                    if _is_at(path, file):
                        path.unlink()
            return


def _owned(file: BinaryIO) -> bool:
    """Lock a new temporary file, which shows that its writer is alive; False if it is gone already."""
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return os.fstat(file.fileno()).st_nlink > 0 or os.name != "posix"


def _is_at(path: Path, file: BinaryIO) -> bool:
    there, here = path.lstat(), os.fstat(file.fileno())
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _tidy(folder: Path) -> None:
    """Remove temporary files that killed processes have left in a folder, once per process and folder."""
    if fcntl is None or (name := os.path.realpath(folder)) in _tidied:
        return
    _tidied.add(name)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if _UNFINISHED.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_abandoned(Path(entry.path))


def _remove_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its writer is alive
        path.unlink()


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "choose another folder")
        raise SegError(f"cannot write {target} ({reason})", "", advice) from error


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # Windows has no handles for folders; NTFS journals the rename
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
