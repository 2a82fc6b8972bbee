"""`python -m tests.fuzz [NAME …]` fuzzes for $FUZZ_SECONDS; `python -m tests.fuzz replay NAME FILE` repeats one failure."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from .parent import chosen, fuzz, report
from .target import load

SECONDS = 600.0  # of all targets together


def main(words: list[str]) -> int:
    if words[:1] == ["replay"]:
        name, path = words[1:]
        print(f"{name} takes {path}: {load(name).run(Path(path).read_bytes())}")
        return 0
    names = chosen(words)
    folder = Path(os.environ.get("FUZZ_OUT", "fuzz-failures")).resolve()
    share = float(os.environ.get("FUZZ_SECONDS", SECONDS)) / len(names)
    seed = int(os.environ.get("FUZZ_SEED", time.time()))
    print(f"seed {seed}, {share:.0f} s for each of {len(names)} targets, failures go to {folder}", flush=True)
    failed = 0
    for name in names:
        until = time.monotonic() + share
        while (left := until - time.monotonic()) > 0:  # again with another seed after a crash
            outcome = fuzz(name, folder, seed, sys.maxsize, left)
            print(report(name, outcome), flush=True)
            failed += len(outcome.failures)
            seed += 1
            if not any("crash" in path.name for path in outcome.failures):
                break
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
