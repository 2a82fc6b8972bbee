"""Programs that some tests need beside Python."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip for want of a tool, with the reason; CI installs all of them, so there it is a failure."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
