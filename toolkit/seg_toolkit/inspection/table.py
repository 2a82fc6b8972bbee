"""An inspection as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from seg_runtime.support import counted, table

from ..data import shown
from ..planning import DataStatistics, MaskSurvey
from .examine import Inspection, pixel_sizes, sizes_of

_MOST_VALUES = 24  # of masks in the table
_MOST_SIZES = 6


def as_table(found: Inspection) -> str:
    """Format an inspection as text: what the data set holds, then the findings."""
    rows = rows_of(found)
    lines = [table(rows, str(found.root))] if rows else [str(found.root)]
    lines += [f"  note: {text}" for text in found.notes]
    for finding in found.findings:
        lines.append(f"  {'stops a training' if finding.fatal else 'check'}: {finding.sentence}")
    fatal = sum(finding.fatal for finding in found.findings)
    end = f"{counted(len(found.findings), 'finding')}, {fatal} of which would stop a training"
    return "\n".join([*lines, end if found.findings else "nothing suspicious was found"])


def rows_of(found: Inspection) -> list[tuple[str, str]]:
    """What a data set holds, as rows of a name and a value."""
    rows: list[tuple[str, str]] = []
    if found.data is not None:
        count, usable = len(found.data.cases), len(found.statistics.cases) if found.statistics else 0
        images = str(count) if usable == count else f"{count}, of which {usable} can be used"
        rows += [("layout", found.data.reader or "pairs"), ("images", images)]
    if (statistics := found.statistics) is not None:
        sizes = [f"{count} × {size}" for size, count in sizes_of(statistics).items()]
        kinds = Counter(f"{s.dtype}, {counted(s.channels, 'channel')}" for s in statistics.cases).most_common()
        low, high = _grey_values(statistics)
        whole = all(np.dtype(s.dtype).kind in "iub" for s in statistics.cases)
        shape = "{:.0f}" if whole else "{:g}"
        rows += [
            ("sizes", ", ".join(sizes[:_MOST_SIZES]) + (" …" if len(sizes) > _MOST_SIZES else "")),
            ("pixels", "; ".join(f"{n} × {kind}" for kind, n in kinds)),
            (
                "grey values",
                f"{shape.format(low)} to {shape.format(high)}, without the darkest and the brightest 0.5 %",
            ),
            ("pixel size", ", ".join(pixel_sizes(statistics)[:_MOST_SIZES]) or "not in the files"),
            *_class_rows(statistics),
        ]
    if found.masks is not None and found.masks.occurrences:
        rows.append(("mask values", _values(found.masks)))
    return rows


def _class_rows(statistics: DataStatistics) -> list[tuple[str, str]]:
    if not statistics.classes:
        return [("ground truth", "values: " + ", ".join(statistics.data.outputs))]
    parts = [
        f"{entry['name']} {entry['share']:.2%} of the pixels, in {counted(entry['images'], 'image')}"
        for entry in _classes(statistics)
    ]
    return [("classes" if i == 0 else "", part) for i, part in enumerate(parts)]


def _classes(statistics: DataStatistics) -> list[dict[str, Any]]:
    pixels = np.array([case.pixels for case in statistics.cases])  # (N, K)
    whole = max(1, int(pixels.sum()))
    return [
        {
            "name": entry.info.name, "values": [shown(value) for value in entry.values], "share": int(column.sum()) / whole,
            "images": int((column > 0).sum()), "color": "#{:02x}{:02x}{:02x}".format(*entry.info.color),
        }
        for entry, column in zip(statistics.classes, pixels.T, strict=True)
    ]  # fmt: skip


def _values(masks: MaskSurvey) -> str:
    entries = [
        f"{shown(value)}: {at.pixels:,} px in {counted(len(at.masks), 'mask')}"
        for value, at in sorted(masks.occurrences.items())
    ]
    more = f"; {len(entries) - _MOST_VALUES} more" if len(entries) > _MOST_VALUES else ""
    return "; ".join(entries[:_MOST_VALUES]) + more


def _grey_values(statistics: DataStatistics) -> tuple[float, float]:
    return min(s.percentiles[0] for s in statistics.cases), max(s.percentiles[1] for s in statistics.cases)


def as_json(found: Inspection) -> dict[str, Any]:
    """Return an inspection as an object for JSON."""
    report: dict[str, Any] = {"data": str(found.root), "refused": found.refused}
    if found.data is not None:
        report |= {"reader": found.data.reader, "images": len(found.data.cases)}
    if (statistics := found.statistics) is not None:
        report |= {
            "sizes": sizes_of(statistics),
            "pixels": [
                {"dtype": dtype, "channels": channels, "images": count}
                for (dtype, channels), count in Counter((s.dtype, s.channels) for s in statistics.cases).items()
            ],
            "grey_values": list(_grey_values(statistics)),
            "pixel_sizes": pixel_sizes(statistics),
            "classes": _classes(statistics) if statistics.classes else [],
        }
    if found.masks is not None:
        report["mask_values"] = [
            {"value": shown(value), "pixels": at.pixels, "masks": len(at.masks)}
            for value, at in sorted(found.masks.occurrences.items())
        ]
    report["notes"] = found.notes
    report["findings"] = [
        {"kind": f.kind, "fatal": f.fatal, "text": f.text, "advice": f.advice, "names": list(f.names)}
        for f in found.findings
    ]
    return report
