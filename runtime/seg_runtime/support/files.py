"""Read files without trusting what their paths lead to or what they contain."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

METADATA_BYTES = 64 << 20  # of a file that describes something, such as a record or options
_DEEPEST = 64  # levels of JSON
_LONGEST = 20  # digits of an integer in JSON
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def open_file(path: Path) -> int:
    """Open a regular file for reading, without waiting for the other end of a named pipe.

    Returns:
        A descriptor, which the caller closes.

    Raises:
        OSError: the file does not exist, cannot be read, or is a folder, a device or a named pipe.
    """
    handle = os.open(path, _FLAGS)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_file(path: Path, most_bytes: int | None = None) -> bytes:
    """Read a regular file.

    Args:
        path: the file.
        most_bytes: largest size; None for any.

    Raises:
        OSError: as `open_file`, or the file is larger.
    """
    with os.fdopen(open_file(path), "rb") as file:
        data = file.read() if most_bytes is None else file.read(most_bytes + 1)
    if most_bytes is not None and len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
    return data


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Parse JSON from a file that may be damaged or hostile.

    Args:
        text: the content.
        options: further arguments of `json.loads`.

    Raises:
        ValueError: it is not JSON, has more than 64 levels, an integer of more than 20 digits, or a number that is not
            finite.
    """
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite, **options)
    except RecursionError as error:
        raise ValueError(f"more than {_DEEPEST} levels") from error
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level if isinstance(outer, (dict, list))
                 for inner in (outer.values() if isinstance(outer, dict) else outer)]  # fmt: skip
        if not level:
            return value
    raise ValueError(f"more than {_DEEPEST} levels")


def _integer(text: str) -> int:
    if len(text) > _LONGEST:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {text[:_LONGEST]}, which is not finite")
    return value
