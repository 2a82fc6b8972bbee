"""Import pydicom and highdicom on first use, and keep the texts of their errors, which may contain personal data, to
ourselves."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
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
def discreet(name: str, doing: str = "") -> Iterator[None]:
    """Run the libraries on a file without output, and replace their errors by one with the class name but not the text.

    Args:
        name: name of the file, for errors.
        doing: what fails if the file is not to blame, as in "no DICOM SEG can be made for"; by default, it is read.

    Raises:
        ImageError: the libraries raise an error, whose text may contain values from the file.
        SegError: a file of the libraries is missing, as in a frozen program without their data.
    """
    with quiet():
        try:
            yield
        except (SegError, MemoryError):
            raise
        except (ImportError, FileNotFoundError) as error:
            what = Path(str(error.filename)).name if isinstance(error, FileNotFoundError) else error.name
            problem = f"pydicom or highdicom is incomplete: {what or 'a part'} is missing"
            raise SegError(problem, "", "install them again; a frozen program must include their data files") from None
        except Exception as error:
            kind = type(error).__name__
            if doing:
                raise ImageError(f"{doing} {name} ({kind} in a library)", "", "report the problem") from None
            problem = f"{name} cannot be read, as if it were damaged or violated the DICOM standard ({kind})"
            advice = "export it again; if other programs read it without a warning, report the problem"
            raise ImageError(problem, "a DICOM image", advice) from None
