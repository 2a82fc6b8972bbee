"""The errors of libtiff, which Pillow contains. By itself it writes them to stderr, and Pillow has no setting for that.

Some of them, such as a wrong code in fax data, end with an image whose rest is made up, and without an error of Pillow.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator
from typing import Any

from PIL import _imaging

_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)  # module, format, va_list


class _Count(threading.local):
    errors = 0


_count = _Count()


@contextlib.contextmanager
def strict() -> Iterator[None]:
    """Raise a ValueError if libtiff reports an error in this thread. Nothing is written to stderr.

    Where Pillow was built without access to libtiff, as on Windows, messages are still written, and nothing is raised.
    """
    _handle_errors()
    before = _count.errors
    yield
    if _count.errors > before:
        raise ValueError("libtiff reports wrong data")


@functools.cache
def _handle_errors() -> Any:
    """Set the handler of this process, once; return it, so that it stays in memory."""
    with contextlib.suppress(AttributeError, OSError, MemoryError):
        handler = _HANDLER(_note)
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(handler)
        return handler
    return None


def _note(module: int, text: int, values: int) -> None:
    _count.errors += 1
