"""Speed figures of the README, in parts: `python -m benchmarks.speed_all DIR [--quick] [--until N] [--scored CHECKPOINT DATA]`.

Each part is a separate call that writes DIR/NAME.json. An existing part is not measured again, so you can stop the
command and repeat it. At the end, or immediately with `--until 0`, all parts are joined: tables on stdout,
DIR/speed.json, and the chart DIR/speed.png. Important parts come first; the minutes are those of two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from .speed_rows import say

ROOT = Path(__file__).parents[1]
TIMED = "window,process"
PIECES = (  # name, options of `speed`, minutes
    ("ours", ("--forms", "plain,fp32,cached,unrewritten,int8-ungated", "--parts", TIMED, "--pairs", "15"), 9),
    ("large-1596", ("--forms", "fp32-1596", "--parts", "large"), 4),
    ("large-1084", ("--forms", "fp32-1084", "--parts", "large", "--large-share", "0.4"), 3),
    ("large-572", ("--forms", "fp32", "--parts", "large", "--large-share", "0.4"), 2),
    ("peers", ("--forms", "plain-int8,torch-last,torch-compile,torch-cuda", "--parts", TIMED, "--pairs", "3"), 3),
    ("openvino", ("--forms", "openvino,openvino-bf16,openvino-int8", "--parts", TIMED, "--pairs", "3"), 2),
    ("tuned", ("--forms", "tuned", "--parts", "window", "--pairs", "12"), 6),
    ("host", ("--forms", "host,fp16", "--parts", TIMED, "--pairs", "6"), 2),
    ("growth", ("--forms", "none", "--growth", "fp32", "--pairs", "3"), 8),
    ("int8-large", ("--forms", "int8-ungated", "--parts", "large", "--large-share", "0.2"), 1),
    ("monai", ("--forms", "monai", "--parts", "large", "--large-share", "0.4"), 6),
    ("torch", ("--forms", "torch", "--parts", TIMED, "--pairs", "3"), 1),
)
QUICK = ("--quick", "--pairs", "1")
DICE = ("--forms", "fp32,int8,plain,plain-int8", "--parts", "dice")


def main() -> None:
    """Measure the missing parts, and join all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--until", type=int, help="stop after this number of parts [default: all]")
    parser.add_argument("--scored", nargs=2, action="append", default=[], metavar=("CHECKPOINT", "DATA"))
    parser.add_argument("--quick", action="store_true", help="use a narrow network, as a test")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    scored = [
        (f"dice-{Path(data).name}", (*DICE, "--scored", Path(model).absolute(), Path(data).absolute()), 3)
        for model, data in options.scored
    ]
    for name, words, minutes in [*scored, *PIECES][: options.until]:
        done = folder / f"{name}.json"
        if done.exists():
            continue
        say(f"part {name}, about {minutes} minutes")
        unfinished = folder / f"{name}.unfinished"
        _speed(*words, "--folder", folder / "files", "--json", unfinished, *(QUICK if options.quick else ()))
        unfinished.rename(done)
    parts = [path for path in sorted(folder.glob("*.json")) if path.name != "speed.json"]
    if parts:
        _speed("--join", *parts, "--json", folder / "speed.json", "--chart", folder / "speed.png", quiet=False)


def _speed(*words: object, quiet: bool = True) -> None:
    """Call `speed`; its table is shown at the end only."""
    call = [sys.executable, "-m", "benchmarks.speed", *map(str, words)]
    subprocess.run(call, cwd=ROOT, check=True, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    main()
