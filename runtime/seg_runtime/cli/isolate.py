"""Run `seg-run` in child processes that may crash, hang or fill their memory: `--isolate`.

A child does all of the work: it reads the model and the images, runs ONNX Runtime and writes the results. It reports
each step to its parent. If it ends before its work does, the parent runs the images that it was working on one by one,
each in a child of its own, and goes on with the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..support import ImageError, ModelError
from .arguments import RunOptions
from .outcome import Bar, Outcome

_CHILD = "from seg_runtime.cli.run import child; child()"
_UNKNOWN = ImageError.exit_code


def limit_memory(gigabytes: float) -> None:
    """Limit the memory of this process, so that a file that needs more fails alone with a MemoryError.

    Args:
        gigabytes: the limit in GB, of the private data of the process (RLIMIT_DATA). Without effect on Windows.
    """
    try:
        import resource
    except ImportError:
        return
    size = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


@dataclass
class Work:
    """What a child gets: the call, and which of its images to segment.

    Attributes:
        images: files and folders.
        options: options of the call.
        only: names of the images to segment; None for all.
        leave_out: names of images that are done.
        events: descriptor for the child's reports.
    """

    images: tuple[Path, ...]
    options: RunOptions
    only: frozenset[str] | None = None
    leave_out: frozenset[str] = frozenset()
    events: int = -1


@dataclass
class _Run:
    """What became of a child.

    Attributes:
        names: names of the images that it found, in the order of its work; None if it ended before.
        ended: names of the images that it ended.
        reason: why it ended before its work did; empty if it did all.
        code: its exit code, if it gave up by itself before it found any image.
    """

    names: list[str] | None = None
    ended: set[str] = field(default_factory=set)
    reason: str = ""
    code: int = 0


def run_isolated(images: tuple[Path, ...], options: RunOptions, bar: Bar) -> Outcome:
    """Run images in child processes; see the module and `run.run_images`.

    Raises:
        ModelError: a child ends while it opens the model.
    """
    general = Outcome()
    work = Work(images, replace(options, isolate=False))
    done: set[str] = set()
    while True:
        run = _run_child(replace(work, leave_out=frozenset(done)), bar, general, first=not done)
        done |= run.ended
        if run.names is None:
            if not run.reason:
                sys.exit(run.code or _UNKNOWN)
            problem = f"the model ended the process that opened it ({run.reason})"
            raise ModelError(problem, "", "do not use this file, or raise --max-memory or --max-seconds")
        suspects = [name for name in run.names if name not in done][: 2 * options.jobs + 1]
        if not run.reason or not suspects:
            return general
        for name in suspects:
            alone = _run_child(replace(work, only=frozenset({name})), bar)
            if name not in alone.ended:
                problem = f"{name} ended the process that segmented it ({alone.reason or run.reason})"
                error = ImageError(problem, "", "check its file, or raise --max-memory or --max-seconds")
                bar.end(name, str(error), True)
        done |= set(suspects)


def _run_child(work: Work, bar: Bar, general: Outcome | None = None, first: bool = False) -> _Run:
    """Run a child and follow it to its end.

    Args:
        work: its work.
        bar: shows the progress of the images.
        general: receives errors and notes that concern no single image, which every child finds anew; None for none.
        first: whether the child names the provider and starts the bar.
    """
    reading, writing = os.pipe()
    stderr = None if first else subprocess.DEVNULL
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stderr=stderr, stdout=subprocess.DEVNULL,
        pass_fds=[writing],
    )  # fmt: skip
    os.close(writing)
    run = _Run()
    try:
        assert child.stdin
        with contextlib.suppress(BrokenPipeError), child.stdin:  # its exit code says why it ended
            pickle.dump(replace(work, events=writing), child.stdin)
        run.reason = _follow(reading, run, bar, general, work.options.max_seconds, first)
    except BaseException:
        child.kill()
        raise
    finally:
        os.close(reading)
        if run.reason:
            child.kill()
        code = child.wait()
    if code < 0 and not run.reason:
        run.reason = signal.Signals(-code).name
    elif code and run.names is not None and not run.reason and _unfinished(run, work):
        run.reason = f"exit code {code}"
    run.code = code
    return run


def _unfinished(run: _Run, work: Work) -> bool:
    wanted = [n for n in run.names or () if n not in work.leave_out and (work.only is None or n in work.only)]
    return not run.ended.issuperset(wanted)


def _follow(events: int, run: _Run, bar: Bar, general: Outcome | None, seconds: float, first: bool) -> str:
    """Follow the reports of a child until it closes their pipe; return why it must be stopped, empty for no reason."""
    pending, last = b"", time.monotonic()
    while True:
        ready, _, _ = select.select([events], [], [], 1.0)
        if not ready:
            if time.monotonic() - last > seconds:
                return f"no progress in {seconds:g} s"
            continue
        data, last = os.read(events, 1 << 16), time.monotonic()
        if not data:
            return ""
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            _take(json.loads(line), run, bar, general, first)


def _take(event: dict[str, Any], run: _Run, bar: Bar, general: Outcome | None, first: bool) -> None:
    if "names" in event:
        run.names = event["names"]
        if first:
            bar.select(event["names"])
    elif "share" in event:
        bar.advance(event["name"], event["share"])
    elif "result" in event:
        run.ended.add(event["name"])
        bar.end(event["name"], event["result"], event["error"])
    elif general is not None:
        general.failed += event["failed"]
        general.notes += event["notes"]
        general.legend = event["legend"]


class Reports:
    """The watcher of a child: it writes each step to the pipe of its parent."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def send(self, **event: Any) -> None:
        """Write a report."""
        os.write(self._work.events, json.dumps(event).encode() + b"\n")

    def select(self, names: Sequence[str]) -> Sequence[str]:
        """Report the images that were found, and select those of the work."""
        work = self._work
        self.send(names=list(names))
        return [n for n in names if n not in work.leave_out and (work.only is None or n in work.only)]

    def advance(self, name: str, share: float) -> None:
        """Report progress."""
        self.send(name=name, share=share)

    def end(self, name: str, result: str, error: bool) -> None:
        """Report a result."""
        self.send(name=name, result=result, error=error)


def read_work() -> Work:
    """Read the work that the parent has written to stdin."""
    work: Work = pickle.load(sys.stdin.buffer)
    return work
