"""Run the libraries that read files without their logs and warnings, which may quote a file or contain personal data."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Iterator

_LOUD = ("pydicom", "highdicom", "pylibjpeg", "PIL", "nibabel.global")
_MOST_LETTERS = 160

_lock = threading.Lock()
_inside = 0
_levels: dict[str, int] = {}
_caught: warnings.catch_warnings[None] | None = None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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


def reason_of(error: Exception) -> str:
    """Return the text of a library's error for an error of ours: printable, in one line, not longer than a line."""
    text = " ".join(str(error).split()) or type(error).__name__
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _MOST_LETTERS else plain[: _MOST_LETTERS - 1] + "…"
