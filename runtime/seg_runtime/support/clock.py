"""The time that results state."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from .errors import SegError

FIXED = "SOURCE_DATE_EPOCH"
"""Environment variable that replaces the time, so that a run can be repeated byte by byte; see reproducible-builds.org."""


def now() -> datetime:
    """Return the time in UTC, to the second: that of the clock, or the seconds since 1970 in $SOURCE_DATE_EPOCH.

    Raises:
        SegError: the variable is no time.
    """
    text = os.environ.get(FIXED)
    if not text:
        return datetime.now(timezone.utc).replace(microsecond=0)
    try:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(text)
        return datetime.fromtimestamp(int(text), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        problem = f"the environment variable {FIXED} is {text!r}"
        raise SegError(
            problem, "a number of seconds since 1970", "correct it, or unset it to record the time"
        ) from error
