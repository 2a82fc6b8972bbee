"""Targets that fail on every input but their seed, each in one way, to see that failures are noticed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping

from seg_runtime.support import ImageError, SegError

from tests.fuzz.target import Seed, Target

_FINE = b"P5 3 2 255 abcdef"


def _fails(fail: Callable[[], object]) -> Target:
    def run(data: bytes) -> None:
        if data != _FINE:
            fail()

    return Target(run, _seeds, most_mib=32)


def _seeds() -> Mapping[str, Seed]:
    return {"fine": Seed(_FINE)}


def _raise() -> None:
    raise KeyError("sha256")


def _hide() -> None:
    raise ImageError("it is damaged") from MemoryError()


def _ramble() -> None:
    error = SegError("it is damaged")
    error.args = ("a" * 5000,)
    raise error


def _spin() -> None:
    for _ in range(1 << 40):
        pass


TARGETS = {
    "raises": _fails(_raise),
    "prints": _fails(lambda: os.write(2, b"TIFFReadDirectory: a line of a library\n")),
    "fills": _fails(lambda: b"a" * (64 << 20)),
    "hides": _fails(_hide),
    "rambles": _fails(_ramble),
    "crashes": _fails(lambda: ctypes.string_at(8)),
    "hangs": _fails(_spin),
}
