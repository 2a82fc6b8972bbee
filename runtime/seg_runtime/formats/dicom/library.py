"""Import pydicom and highdicom on first use, and keep the texts of their errors, which may contain personal data, to
ourselves."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from ...support import ImageError, SegError, require_extra
from ..quiet import quiet

Dataset = Any  # pydicom may not be installed


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


@contextlib.contextmanager
def discreet(name: str) -> Iterator[None]:
    """Run the libraries on a file without output, and replace their errors by one with the class name but not the text.

    Args:
        name: name of the file, for errors.

    Raises:
        ImageError: the libraries raise an error, whose text may contain values from the file.
    """
    with quiet():
        try:
            yield
        except (SegError, MemoryError):
            raise
        except Exception as error:
            problem = f"{name} is damaged or violates the DICOM standard ({type(error).__name__})"
            raise ImageError(problem, "a DICOM image", "export it again") from None
