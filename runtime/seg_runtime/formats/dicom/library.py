"""pydicom and highdicom, when they are needed, and silent: what they say in logs and warnings may name a person."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from ...support import ImageError, SegError, require_extra

Dataset = Any  # pydicom's types hold only where it is installed
_LOUD = ("pydicom", "highdicom", "pylibjpeg", "PIL")


def pydicom(part: str = "") -> Any:
    """The module `pydicom`, or one inside it.

    Raises:
        SegError: not installed; names the extra.
    """
    require_extra("dicom", "pydicom")
    return importlib.import_module(f"pydicom.{part}" if part else "pydicom")


def highdicom() -> Any:
    """The module `highdicom`.

    Raises:
        SegError: not installed; names the extra.
    """
    require_extra("dicom", "pydicom", "highdicom")
    with discreet("highdicom"):
        return importlib.import_module("highdicom")


_lock = threading.Lock()
_inside = 0
_levels: dict[str, int] = {}
_caught: warnings.catch_warnings[None] | None = None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that the libraries log or warn about gets out. Levels and filters belong to the process, so all threads
    that are inside share one change of them."""
    global _inside, _caught
    with _lock:
        if not _inside:
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            warnings.simplefilter("ignore")
            for name in _LOUD:
                logger = logging.getLogger(name)
                _levels[name] = logger.level
                logger.setLevel(logging.CRITICAL + 1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for name in _LOUD:
                    logging.getLogger(name).setLevel(_levels[name])
                assert _caught
                _caught.__exit__(None, None, None)


@contextlib.contextmanager
def discreet(name: str) -> Iterator[None]:
    """Run the libraries on a file: silent, and an error of theirs becomes one that tells its kind but not its text.

    Args:
        name: what the error calls the file.

    Raises:
        ImageError: for whatever the libraries raise; they quote values of the file.
    """
    with _quiet():
        try:
            yield
        except (SegError, MemoryError):
            raise
        except Exception as error:
            problem = f"{name} is damaged or breaks the DICOM standard ({type(error).__name__})"
            raise ImageError(problem, "a DICOM image", "export it again") from None
