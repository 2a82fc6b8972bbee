"""Results of `speed`: the table, the goals, and the panels of the chart."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .chart import Bar, Panel
from .measure import table
from .peers import FORMS

Rows = Mapping[str, Mapping[str, Any]]
NONE = "–"
FP32_ERROR = 1e-4  # as a fraction of the range of the logits
LARGE_SIDE = 4096
FP32_LARGE = ("fp32", "fp32-1084", "fp32-1596", "unrewritten-1596")
INT8 = ("int8", "int8-ungated")
STARTS = ("fp32", "cached", "unrewritten")


@dataclass(frozen=True)
class Goal:
    """A figure, its limit, and its name; the figure is None if it was not measured."""

    what: str
    figure: float | None
    limit: float
    unit: str = ""
    condition: str = ""
    """Reason why the figure does not count although it is within the limit; empty if it counts."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None if it was not measured."""
        return None if self.figure is None else self.figure <= self.limit and not self.condition

    def line(self) -> list[str]:
        """Format a row of the table of goals."""
        if self.figure is None:
            return [self.what, f"≤ {self.limit:g}{self.unit}", "not measured", ""]
        verdict = "reached" if self.reached else f"missed{f' ({self.condition})' if self.condition else ''}"
        digits = 0 if self.unit == " MB" else 2
        return [self.what, f"≤ {self.limit:g}{self.unit}", f"{self.figure:.{digits}f}{self.unit}", verdict]


def goals(rows: Rows) -> Iterator[Goal]:
    """Yield the goals on 2 CPU cores, as ratios to a plain PyTorch export in an ONNX Runtime fp32 session of the same run."""
    for key, what in (("fp32", "fp32 window"), ("tuned", "fp32 window, tuned on this machine")):
        error = _get(rows, key, "window", "error_of_range")
        spoiled = f"error {error:.0e} of the range" if error and error > FP32_ERROR else ""
        yield Goal(f"{what}, error ≤ 1e-4", _get(rows, key, "window", "ratio"), 0.75, condition=spoiled)
    best, ratio = _least(rows, INT8, "window")
    yield Goal(f"int8 window{best}", ratio, 0.26)
    fp16, compiled = (_get(rows, key, "window", "ms") for key in ("fp16", "torch-cuda"))
    yield Goal("fp16 window on CUDA, of torch.compile fp16", fp16 / compiled if fp16 and compiled else None, 1.0)
    for name in sorted({name for row in rows.values() for name in row.get("dice", {})}):
        yield Goal(f"int8, points of Dice lost on {name}", dice_drop(rows, "int8", name), 0.3)
    if not any("dice" in row for row in rows.values()):
        yield Goal("int8, points of Dice lost", None, 0.3)
    sized = {key: row for key, row in rows.items() if _get(rows, key, "large", "side") == LARGE_SIDE}
    best, ratio = _least(sized, FP32_LARGE, "large")
    yield Goal(f"{LARGE_SIDE}×{LARGE_SIDE} image, fp32{best}", ratio, 0.60)
    best, ratio = _least(rows, STARTS, "process")
    yield Goal(f"whole process, of the ten-line script{best}", ratio, 0.80)
    best, peak_mb = _least(rows, STARTS, "process", "peak_mb")
    yield Goal(f"peak memory of a process, fp32 window{best}", peak_mb, 500, " MB")


def dice_drop(rows: Rows, key: str, name: str) -> float | None:
    """Drop of a form in Dice points against fp32 of seg-edge, or against the plain export if that is missing."""
    reference = _get(rows, "fp32", "dice", name) or _get(rows, "plain", "dice", name)
    score = _get(rows, key, "dice", name)
    return None if score is None or reference is None else 100 * (reference - score)


def speed_table(rows: Rows) -> str:
    """Format one row per form, or the reason why it was not measured."""
    sets = sorted({name for row in rows.values() for name in row.get("dice", {})})
    head = [
        "form", "a window / plain", "ratio", "error of the range", "square image, px", "MPixel/s", "ratio", "whole process / script", "ratio",
        "peak memory", "file", *(f"Dice, {name}" for name in sets),
    ]  # fmt: skip
    lines = []
    for key, row in rows.items():

        def cell(form: str, *path: str, key: str = key) -> str:
            value = _get(rows, key, *path)
            return NONE if value is None else form.format(value)

        scores = [cell("{:.4f}", "dice", name) for name in sets]
        if "missing" in row:
            lines.append(
                [row["title"], f"not measured: {row['missing']}", *[""] * (len(head) - 2 - len(sets)), *scores]
            )
            continue
        lines.append([
            row["title"], _beside(_get(rows, key, "window"), 0, "ms"), cell("{:.2f}", "window", "ratio"),
            cell("{:.0e}", "window", "error_of_range"), cell("{:.0f}", "large", "side"), cell("{:.3f}", "large", "megapixel_per_s"),
            cell("{:.2f}", "large", "ratio"), _beside(_get(rows, key, "process", "seconds"), 2, "s"),
            cell("{:.2f}", "process", "ratio"), cell("{:.0f} MB", "process", "peak_mb"), cell("{:.1f} MB", "file_mb"),
            *scores,
        ])  # fmt: skip
    return table(head, lines)


def goal_table(rows: Rows) -> str:
    """Format the goals as reached or missed."""
    return table(["goal", "limit", "measured", ""], [goal.line() for goal in goals(rows)])


def panels(rows: Rows) -> list[Panel]:
    """Make the panels of the chart. Shorter bars are better; goals are marked on bars of seg-edge."""
    sized = {key for key in FP32_LARGE if _get(rows, key, "large", "side") == LARGE_SIDE}
    found = [
        _panel(
            rows, "One window of 572 px, time of plain ONNX Runtime fp32 = 1", ("window", "ratio"),
            {"fp32": 0.75, "tuned": 0.75, "int8": 0.26, "int8-ungated": 0.26},
            lambda r: f"{r['window']['ratio']:.2f}  ({_beside(r['window'], 0, 'ms')})",
        ),
        _panel(
            rows, "A large square image, time of plain ONNX Runtime fp32 = 1", ("large", "ratio"), dict.fromkeys(sized, 0.60),
            lambda r: f"{r['large']['ratio']:.2f}  ({r['large']['side']} px, {r['large']['megapixel_per_s']:.2f} MPixel/s)",
        ),
        _panel(
            rows, "Whole process on one image, time of a ten-line ONNX Runtime script = 1", ("process", "ratio"),
            {"fp32": 0.80, "cached": 0.80}, lambda r: f"{r['process']['ratio']:.2f}  ({_beside(r['process']['seconds'], 2, 's')})",
        ),
        _panel(
            rows, "Peak memory of that process, MB", ("process", "peak_mb"), {"fp32": 500.0, "cached": 500.0, "unrewritten": 500.0},
            lambda r: f"{r['process']['peak_mb']:.0f} MB",
        ),
    ]  # fmt: skip
    return [panel for panel in found if panel.bars]


def _panel(
    rows: Rows, title: str, path: tuple[str, str], limits: Mapping[str, float], text: Callable[[Mapping[str, Any]], str]
) -> Panel:
    bars = []
    for key, row in rows.items():
        if (value := _get(rows, key, *path)) is not None:
            bars.append(Bar(row["title"], value, text(row), FORMS[key].ours, limits.get(key)))
    return Panel(title, tuple(sorted(bars, key=lambda bar: bar.value)), 1.0 if path[1] == "ratio" else None)


def _beside(figures: Mapping[str, Any] | None, digits: int, unit: str) -> str:
    """Format the medians of a form and its baseline, because the speed of a shared machine changes between rows."""
    if figures is None:
        return NONE
    ours, baseline = (statistics.median(figures[name]) for name in ("ours", "baseline"))
    return f"{ours:.{digits}f} / {baseline:.{digits}f} {unit}"


def _least(rows: Rows, keys: Sequence[str], part: str, figure: str = "ratio") -> tuple[str, float | None]:
    """Title in brackets and figure of the best of some forms; empty and None if none was measured."""
    found = {key: value for key in keys if (value := _get(rows, key, part, figure)) is not None}
    best = min(found, key=lambda key: found[key], default="")
    return (f" ({FORMS[best].title})", found[best]) if best else ("", None)


def _get(rows: Rows, key: str, *path: str) -> Any:
    found: Any = rows.get(key)
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
