"""An inspection as one HTML page that contains its pictures and needs neither a network nor scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from html import escape

from .examine import Inspection
from .finding import Finding
from .sheet import Thumbnail
from .table import as_json, rows_of

_MOST_PICTURES = 200
_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #5b5b60; --paper: #fdfdfc; --card: #f1f0ec; --line: #d8d6cf; --stop: #b3261e; --look: #8a5a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #a9a9ad; --paper: #17181a; --card: #232528; --line: #3b3d41; --stop: #ff8a80; --look: #ffc266; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; } td { overflow-wrap: anywhere; }
.finding { background: var(--card); border-left: 4px solid var(--look); padding: .6rem .9rem; margin: .5rem 0; border-radius: 4px; overflow-wrap: anywhere; }
.finding.stop { border-color: var(--stop); } .finding b { color: var(--look); } .finding.stop b { color: var(--stop); }
.swatch { display: inline-block; width: .9em; height: .9em; border: 1px solid var(--line); border-radius: 2px; vertical-align: -.1em; margin-right: .4em; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: .8rem; }
figure { margin: 0; background: var(--card); padding: .4rem; border-radius: 4px; border: 1px solid transparent; } figure.odd { border-color: var(--look); }
figure img { display: block; margin: 0 auto; max-width: 100%; height: auto; image-rendering: auto; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; margin-top: .3rem; } figcaption i { color: var(--look); font-style: normal; }
"""


def page(found: Inspection) -> str:
    """Make the page."""
    title = escape(found.root.absolute().name or str(found.root))
    return "\n".join(
        [
            "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<title>{title}: data check</title>",
            f"<style>{_STYLE}</style>", "</head>", "<body>", f"<h1>{title}</h1>",
            f'<p class="soft">{escape(str(found.root))}</p>', *_findings(found), *_content(found), *_sheet(found),
            "</body>", "</html>", "",
        ]
    )  # fmt: skip


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
    yield _table((), rows)
    report = as_json(found)
    if report.get("classes"):
        yield "<h2>Classes</h2>"
        yield _table(
            ("class", "mask values", "share of the pixels", "images"),
            [(entry["name"], _short(entry["values"]), f"{entry['share']:.2%}", str(entry["images"])) for entry in report["classes"]],
            [entry["color"] for entry in report["classes"]],
        )  # fmt: skip
    if report.get("mask_values"):
        yield "<h2>Values of the masks</h2>"
        values = report["mask_values"]
        yield _table(
            ("value", "pixels", "masks"),
            [(v["value"], f"{v['pixels']:,}", str(v["masks"])) for v in values[:_MOST_PICTURES]],
        )


def _short(values: list[str]) -> str:
    return ", ".join(values[:8]) + (" …" if len(values) > 8 else "")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], colours: list[str] | None = None) -> str:
    lines = ["<table>"]
    if head:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    for number, (name, *cells) in enumerate(rows):
        mark = f'<span class="swatch" style="background:{colours[number]}"></span>' if colours else ""
        lines.append(
            f"<tr><th>{mark}{escape(name)}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        )
    return "\n".join([*lines, "</table>"])


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
    data, (width, height) = base64.b64encode(picture.jpeg).decode("ascii"), picture.size
    marks = f"<br><i>{escape(', '.join(dict.fromkeys(kinds)))}</i>" if kinds else ""
    return (
        f'<figure{" class=odd" if kinds else ""}><img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}"'
        f' alt="{escape(name, quote=True)}"><figcaption>{escape(name)}{marks}</figcaption></figure>'
    )
