"""Import pydicom and highdicom on first use, and suppress their logs and warnings, which may contain personal data."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from ...support import ImageError, SegError, require_extra

Dataset = Any  # pydicom may not be installed
_LOUD = ("pydicom", "highdicom", "pylibjpeg", "PIL")


def pydicom(part: str = "") -> Any:
    """Import and return `pydicom`, or one of its modules.

    Raises:
        SegError: it is not installed; the error names the extra.
    """
    require_extra("dicom", "pydicom")
    return importlib.import_module(f"pydicom.{part}" if part else "pydicom")


def highdicom() -> Any:
    """Import and return `highdicom`.

    Raises:
        SegError: it is not installed; the error names the extra.
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
    """Suppress logs and warnings of the libraries. Log levels and warning filters belong to the process, so all threads
    in this context share one change."""
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
    """Run the libraries on a file without output, and replace their errors by one with the class name but not the text.

    Args:
        name: name of the file, for errors.

    Raises:
        ImageError: the libraries raise an error, whose text may contain values from the file.
    """
    with _quiet():
        try:
            yield
        except (SegError, MemoryError):
            raise
        except Exception as error:
            problem = f"{name} is damaged or violates the DICOM standard ({type(error).__name__})"
            raise ImageError(problem, "a DICOM image", "export it again") from None
