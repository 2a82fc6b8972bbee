"""Run one target on damaged inputs, in a process of its own, which may crash.

`python -m tests.fuzz.child NAME FOLDER SEED INPUTS SECONDS HANG_S` prints one JSON object for each failure, and one at the end.
The input in work is always in FOLDER/NAME.current.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import logging
import os
import re
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

from seg_runtime.support import SegError

from .mutations import mutant
from .target import Seed, Target, load

SLOW_S = 5.0  # of CPU time for one input
LONGEST = 4000  # letters of an error: three parts of 1000, in which a control character takes more
_RESERVE = 2 << 30  # bytes that the process may map, beyond what it has at the start
_POOL = 300  # inputs that are kept because they end in another way
_VARYING = re.compile(r"[\d.]+|'[^']*'|/\S+")  # numbers, quoted texts and paths in an error
_FRAME = re.compile(r'^  File "(.*)", line (\d+)', re.MULTILINE)


class _OddError(Exception):
    """An input that ends as it must not, without an exception of its own."""


def main(name: str, folder: str, seed: str, inputs: str, seconds: str, hang_s: str) -> None:
    target, place = load(name), Path(folder)
    warnings.simplefilter("ignore")  # as in all commands
    logging.raiseExceptions = False
    out = os.fdopen(os.dup(1), "w")
    watched = Watched(target, place / f"{name}.current", float(hang_s))
    random, until = Random(f"{name} {seed}"), time.monotonic() + float(seconds)
    seeds = [*target.seeds().values()]
    pool = list(seeds)
    seen: set[str] = set()
    found: dict[str, tuple[bytes, str]] = {}  # the smallest input of each kind of failure
    done = 0
    for start in seeds:  # a corpus that is refused would damage nothing
        if (problem := watched.run(start.pack(start.content))) is not None:
            raise SystemExit(f"a seed of {name} fails: {problem}")
        if isinstance(watched.refused, SegError):
            raise SystemExit(f"a seed of {name} is refused: {watched.refused}")
    while done < int(inputs) and time.monotonic() < until:
        base = random.choice(seeds if random.random() < 0.5 else pool)
        content = mutant(random, base.content, [other.content for other in pool])
        data = base.pack(content) if random.random() < 0.9 else mutant(random, base.pack(base.content), [])
        problem = watched.run(data)
        done += 1
        if problem is not None:
            kind = _kind(problem)
            if kind not in found or len(data) < len(found[kind][0]):
                found[kind] = data, problem
        elif (way := watched.way) not in seen and len(pool) < _POOL:
            seen.add(way)
            pool.append(Seed(content, base.pack))
    for data, problem in found.values():
        kept = place / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        kept.write_bytes(data)
        print(json.dumps({"file": str(kept), "problem": problem}), file=out)
    print(json.dumps({"done": done, "ways": len(seen)}), file=out)
    out.flush()
    os._exit(0)  # libraries that met damage may crash while they are torn down


class Watched:
    """Runs inputs and looks at how they end, what they take and what they print."""

    def __init__(self, target: Target, current: Path, hang_s: float) -> None:
        self._target, self._current, self._hang_s = target, current, hang_s
        self._printed = os.open(current.with_suffix(".printed"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(self._printed, 1)
        os.dup2(self._printed, 2)
        faulthandler.enable(self._printed)
        self.refused: BaseException | None = None
        limit = _status("VmData") * 1024 + _RESERVE
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))

    def run(self, data: bytes) -> str | None:
        """Return what is wrong with the outcome of an input; None for nothing."""
        self._current.write_bytes(data)
        with contextlib.suppress(OSError):  # refused in some containers
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        before, start = _status("VmHWM"), time.process_time()
        faulthandler.dump_traceback_later(self._hang_s, exit=True, file=self._printed)
        self.refused = None
        try:
            self._target.run(data)
        except SegError as error:
            self.refused = error
        except BaseException:
            return traceback.format_exc()
        finally:
            faulthandler.cancel_dump_traceback_later()
        taken, spent = _status("VmHWM") - before, time.process_time() - start
        try:
            self._check(taken // 1024, spent)
        except _OddError as odd:
            cause = "" if self.refused is None else "".join(traceback.format_exception(self.refused))
            return f"{odd}\n{cause}"
        return None

    @property
    def way(self) -> str:
        """The last outcome, without what differs between inputs."""
        if self.refused is None:
            return "read"
        cause = self.refused.__cause__
        return _VARYING.sub("", f"{self.refused} {type(cause).__name__}")[:160]

    def _check(self, mib: int, seconds: float) -> None:
        printed = os.lseek(self._printed, 0, os.SEEK_END)
        if printed:
            text = os.pread(self._printed, 2000, 0).decode("utf-8", "replace")
            os.ftruncate(self._printed, 0)
            os.lseek(self._printed, 0, os.SEEK_SET)
            raise _OddError(f"it printed {printed} bytes: {text}")
        if mib > self._target.most_mib:
            raise _OddError(f"it took {mib} MiB")
        if seconds > SLOW_S:
            raise _OddError(f"it took {seconds:.1f} s of CPU time")
        if len(text := str(self.refused or "")) > LONGEST:
            raise _OddError(f"its error has {len(text)} letters: {text[:300]}")
        cause: Any = self.refused
        while cause is not None:
            if isinstance(cause, MemoryError):
                raise _OddError("its error hides a MemoryError")
            cause = cause.__cause__ or cause.__context__


def _kind(problem: str) -> str:
    """What failures of one cause have in common: the last places in the code, and the first words."""
    places = _FRAME.findall(problem)[-4:]
    return f"{places} {_VARYING.sub('', problem.splitlines()[0])[:80]}"


def _status(word: str) -> int:
    """A figure of this process in kiB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{word}:")[2].split()[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
