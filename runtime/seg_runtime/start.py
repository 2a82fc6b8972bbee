"""How the command `seg-run` begins: with memory in huge pages where the system offers them.

A U-Net touches some 600 MB for the first time in every process. In pages of 4 kB the kernel is asked 150,000 times; in
huge pages of 2 MB loading takes a third and the first window nine tenths of the time. glibc asks for them only when a
tunable says so at the start of a process, so that the process starts itself once more with it.
Whoever sets GLIBC_TUNABLES, be it to nothing, has said otherwise.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

TUNABLES = "GLIBC_TUNABLES"
MARK = "SEG_EDGE_STARTED"  # once more is enough, even where something takes the tunable away again
HUGE_PAGES = "glibc.malloc.hugetlb=1"  # malloc advises the kernel to use huge pages; since glibc 2.35
SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def main() -> None:
    """Run `seg-run`."""
    if wants_huge_pages():
        os.environ |= {TUNABLES: HUGE_PAGES, MARK: "1"}
        with contextlib.suppress(OSError):  # then without them
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    from .cli import main as seg_run

    seg_run()


def wants_huge_pages(setting: Path = SETTING) -> bool:
    """Whether huge pages are there for who asks, and nobody has decided yet."""
    if sys.platform != "linux" or not sys.executable or {TUNABLES, MARK} & os.environ.keys():
        return False
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        version = tuple(int(n) for n in libc.removeprefix("glibc ").split("."))
        return version >= (2, 35) and "[madvise]" in setting.read_text()
    except (OSError, ValueError):  # another libc, or no such setting
        return False
