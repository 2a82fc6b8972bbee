"""An inspection as one HTML page that contains its pictures and needs neither a network nor scripts."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from seg_runtime.support import document, html_figure, html_table

from .examine import Inspection
from .finding import Finding
from .sheet import Thumbnail
from .table import as_json, rows_of

_MOST_PICTURES = 200


def page(found: Inspection) -> str:
    """Make the page."""
    title = found.root.absolute().name or str(found.root)
    head = [f"<h1>{escape(title)}</h1>", f'<p class="soft">{escape(str(found.root))}</p>']
    return document(f"{title}: data check", [*head, *_findings(found), *_content(found), *_sheet(found)])


def _findings(found: Inspection) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not found.findings:
        yield "<p>Nothing suspicious was found.</p>"
    for finding in found.findings:
        yield f'<div class="finding{" stop" if finding.fatal else ""}">{_finding(finding)}</div>'
    for note in found.notes:
        yield f'<p class="soft">{escape(note)}</p>'


def _finding(finding: Finding) -> str:
    head = "Stops a training" if finding.fatal else "Check"
    text = f"<p><b>{head}:</b> {escape(finding.text)}</p>"
    if finding.advice:
        text += f"<p>{escape(finding.advice[0].upper() + finding.advice[1:])}.</p>"
    if finding.names:
        listed = escape(", ".join(finding.names))
        text += (
            f"<details><summary>{len(finding.names)} files</summary>{listed}</details>"
            if len(finding.names) > 3
            else f'<p class="soft">{listed}</p>'
        )
    return text


def _content(found: Inspection) -> Iterator[str]:
    rows = [row for row in rows_of(found) if row[0] not in ("classes", "", "mask values")]
    if not rows:
        return
    yield "<h2>Content</h2>"
    yield html_table((), rows)
    report = as_json(found)
    if report.get("classes"):
        yield "<h2>Classes</h2>"
        yield html_table(
            ("class", "mask values", "share of the pixels", "images"),
            [(entry["name"], _short(entry["values"]), f"{entry['share']:.2%}", str(entry["images"])) for entry in report["classes"]],
            [entry["color"] for entry in report["classes"]],
        )  # fmt: skip
    if report.get("mask_values"):
        yield "<h2>Values of the masks</h2>"
        values = report["mask_values"]
        yield html_table(
            ("value", "pixels", "masks"),
            [(v["value"], f"{v['pixels']:,}", str(v["masks"])) for v in values[:_MOST_PICTURES]],
        )


def _short(values: list[str]) -> str:
    return ", ".join(values[:8]) + (" …" if len(values) > 8 else "")


def _sheet(found: Inspection) -> Iterator[str]:
    """The pictures, suspicious ones first."""
    if not found.thumbnails:
        return
    kinds: dict[str, list[str]] = {}
    for finding in found.findings:
        for name in finding.names:
            kinds.setdefault(name, []).append(finding.kind)
    names = sorted(found.thumbnails, key=lambda name: (name not in kinds, name))
    left = len(names) - _MOST_PICTURES
    yield "<h2>Images</h2>"
    yield f'<p class="soft">{_explained(found, left)}</p>'
    yield '<div class="sheet">'
    for name in names[:_MOST_PICTURES]:
        yield _figure(name, found.thumbnails[name], kinds.get(name, []))
    yield "</div>"


def _explained(found: Inspection, left: int) -> str:
    text = (
        "Suspicious images come first. Outlines have the colours of the classes. Grey values are spread to be visible."
    )
    if found.data is not None and any(len(s.shape) > 2 for s in (found.statistics.cases if found.statistics else ())):
        text += " Of a volume, one slice is shown."
    return text + (f" {left} more images are left out." if left > 0 else "")


def _figure(name: str, picture: Thumbnail, kinds: list[str]) -> str:
    marks = f"<br><i>{escape(', '.join(dict.fromkeys(kinds)))}</i>" if kinds else ""
    return html_figure(name, picture.jpeg, picture.size, f"{escape(name)}{marks}", odd=bool(kinds))
