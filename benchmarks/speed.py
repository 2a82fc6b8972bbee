"""Compare all ways to run the network: `python -m benchmarks.speed [--forms a,b] [--json FILE] [--chart FILE.png]`.

Each form is measured in pairs with the plain PyTorch export in an ONNX Runtime fp32 session, in turn, in one run. All of
it takes more than an hour on two cores. `--forms`, `--parts` and `--join` split it into parts, and `speed_all` does so
for the figures of the README. Peers are in constraints-bench.txt; those that are not installed are reported.
`--scored CHECKPOINT DATA` adds Dice on the validation images of a training folder. `rewrites` measures each rewrite of
the graph alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import chart
from .measure import machine, random_checkpoint, save_json, versions
from .peers import FORMS
from .speed_forms import Bench, MissingError, prepared
from .speed_goals import goal_table, panels, speed_table
from .speed_growth import growth, growth_tables
from .speed_rows import PARTS, Effort, dice, measure, say

PEERS = ("torch", "openvino", "monai")
QUICK = 8  # feature maps of the first level


def main() -> None:
    """Measure, join and print."""
    options = _options()
    rows: dict[str, Any] = {}
    found: dict[str, Any] = {"rows": rows, "growth": {}, "machine": _machine(), "network": ""}
    for path in options.join:
        _join(found, json.loads(path.read_text()))
    if options.forms or options.growth:
        with ExitStack() as stack:
            folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            _measure(options, folder.absolute(), found)
    found["rows"] = {key: found["rows"][key] for key in FORMS if key in found["rows"]}
    rows = found["rows"]
    print(f"{found['network']}; {found['machine']}\n")
    if rows:
        print(f"{speed_table(rows)}\n\n{goal_table(rows)}")
    for figures in found["growth"].values():
        print(f"\n{FORMS[figures['form']].title}\n\n{growth_tables(figures)}")
    save_json(options.json, found)
    if options.chart:
        picture = chart.draw(
            "The same U-Net, run in every way", f"{found['network']}; {found['machine']}", panels(rows)
        )
        chart.save(picture, options.chart)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forms", help=f"forms among {', '.join(FORMS)}; or none [default: all]")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"parts among {', '.join(PARTS)} [default: all]")
    parser.add_argument("--pairs", type=int, help="pairs of windows and of processes [default: 9]")
    parser.add_argument("--large", type=int, help="side of the large image in px [default: 4096]")
    parser.add_argument("--large-pairs", type=int, default=1)
    parser.add_argument(
        "--large-share", type=float, default=1.0, metavar="0..1",
        help="fraction of the windows of the large image that the plain export runs, evenly spaced [default: all]",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, help="threads of each form [default: all that this process may use]")
    parser.add_argument("--checkpoint", type=Path, help="the network to time [default: random weights]")
    parser.add_argument("--width", type=int, help="width of the random network [default: 64]")
    parser.add_argument(
        "--scored", nargs=2, type=Path, action="append", default=[], metavar=("CHECKPOINT", "DATA"),
        help="add Dice of each form of this trained network on the validation images of its training folder",
    )  # fmt: skip
    parser.add_argument(
        "--data", type=Path, metavar="DATA", help="training folder of --checkpoint, whose images calibrate its int8"
    )
    parser.add_argument(
        "--growth", nargs="?", const="fp32", choices=[k for k, f in FORMS.items() if f.ours],
        help="also measure how the cost of this form grows [default: fp32]",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, help="keep generated files in this folder for the next call")
    parser.add_argument("--join", nargs="+", type=Path, default=[], metavar="FILE", help="figures of earlier --json")
    parser.add_argument("--json")
    parser.add_argument("--chart", type=Path, metavar="FILE.png")
    parser.add_argument("--quick", action="store_true", help="use a narrow network and a small image, as a test")
    options = parser.parse_args()
    quick = options.quick
    options.pairs = options.pairs or (2 if quick else 9)
    options.large = options.large or (800 if quick else 4096)
    options.width = options.width or (QUICK if quick else 64)
    options.forms = _chosen(parser, options.forms or ("none" if options.join else ""), FORMS)
    options.parts = _chosen(parser, options.parts, dict.fromkeys(PARTS))
    return options


def _chosen(parser: argparse.ArgumentParser, text: str, known: dict[str, Any]) -> list[str]:
    if text == "none":
        return []
    names = text.split(",") if text else list(known)
    if odd := [name for name in names if name not in known]:
        parser.error(f"unknown names {', '.join(odd)}; expected {', '.join(known)}")
    return names


def _measure(options: argparse.Namespace, folder: Path, found: dict[str, Any]) -> None:
    from seg_toolkit.checkpoints import load

    checkpoint = load(options.checkpoint) if options.checkpoint else random_checkpoint(options.width)
    weights = options.checkpoint.name if options.checkpoint else "random weights"
    _same(
        found,
        "network",
        f"U-Net of width {checkpoint.network['width']}, {weights}, {checkpoint.contract.input.channels} channels",
    )
    bench = prepared(checkpoint, folder, options.data, options.threads)
    scored = []
    if "dice" in options.parts:
        scored = [(prepared(load(c), folder, data, options.threads), data) for c, data in options.scored]
    rows = found["rows"]
    effort = Effort(options.parts, options.pairs, options.large, options.large_pairs, options.large_share)
    for place, key in enumerate(options.forms, 1):
        say(f"form {place} of {len(options.forms)}")
        row = measure(FORMS[key], bench, effort)
        _add_dice(row, key, scored)
        _join_row(rows, key, row)
        save_json(options.json, found)  # keep the figures of an hour after an interruption
    if options.growth:
        try:
            found["growth"][options.growth] = growth(FORMS[options.growth], bench, options.pairs, options.quick)
        except MissingError as reason:
            say(f"growth of {options.growth} was not measured: {reason}")


def _add_dice(row: dict[str, Any], key: str, scored: list[tuple[Bench, Path]]) -> None:
    if FORMS[key].only:  # its labels are those of another form
        return
    for bench, data in scored:
        try:
            figures = dice(FORMS[key], bench, data)
        except MissingError as reason:
            say(f"{FORMS[key].title}: no Dice on {data.name}: {reason}")
            continue
        row.setdefault("dice", {})[data.name] = figures["mean_dice"]
        row.setdefault("scores", {})[data.name] = figures


def _join(found: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Add figures of an earlier call. All figures of a table must be from one machine and one network."""
    for what in ("machine", "network"):
        _same(found, what, earlier[what])
    for key, row in earlier["rows"].items():
        _join_row(found["rows"], key, row)
    found["growth"] |= earlier["growth"]


def _same(found: dict[str, Any], what: str, value: str) -> None:
    if found[what] not in ("", value):
        sys.exit(f"error: {what} {found[what]!r} and {value!r} cannot be in one table")
    found[what] = value


def _join_row(rows: dict[str, Any], key: str, row: dict[str, Any]) -> None:
    """Add parts to earlier ones. A form that was measured is no longer missing."""
    kept = rows.get(key, {})
    if "missing" not in row:
        kept = {k: v for k, v in kept.items() if k != "missing"}
    rows[key] = kept | row if "missing" not in row or "file_mb" not in kept else kept


def _machine() -> str:
    peers = ", ".join(f"{name} {version}" for name, version in versions(*PEERS).items())
    return f"{machine()}, {peers}"


if __name__ == "__main__":
    main()
