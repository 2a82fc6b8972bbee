"""Pages for the browser that contain their pictures and need neither a network nor scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #5b5b60; --paper: #fdfdfc; --card: #f1f0ec; --line: #d8d6cf; --stop: #b3261e; --look: #8a5a00; --bar: #3b76af; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #a9a9ad; --paper: #17181a; --card: #232528; --line: #3b3d41; --stop: #ff8a80; --look: #ffc266; --bar: #7fb0e0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; } td { overflow-wrap: anywhere; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.finding { background: var(--card); border-left: 4px solid var(--look); padding: .6rem .9rem; margin: .5rem 0; border-radius: 4px; overflow-wrap: anywhere; }
.finding.stop { border-color: var(--stop); } .finding b { color: var(--look); } .finding.stop b { color: var(--stop); }
.swatch { display: inline-block; width: .9em; height: .9em; border: 1px solid var(--line); border-radius: 2px; vertical-align: -.1em; margin-right: .4em; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: .8rem; }
figure { margin: 0; background: var(--card); padding: .4rem; border-radius: 4px; border: 1px solid transparent; } figure.odd { border-color: var(--look); }
figure img { display: block; margin: 0 auto; max-width: 100%; height: auto; image-rendering: auto; }
figcaption { font-size: .8rem; overflow-wrap: anywhere; margin-top: .3rem; } figcaption i { color: var(--look); font-style: normal; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } svg rect { fill: var(--bar); }
"""


def document(title: str, body: Iterable[str]) -> str:
    """Return a page with a title for the window; the body is HTML."""
    head = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>", "</head>", "<body>",
    ]  # fmt: skip
    return "\n".join([*head, *body, "</body>", "</html>", ""])


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], colours: Sequence[str] = (), numbers: bool = False
) -> str:
    """Return a table of texts, whose first column is that of names.

    Args:
        head: titles of the columns; empty for none.
        rows: cells of each row.
        colours: a colour for each row, such as `#ff8800`; empty for none.
        numbers: whether all columns but the first are numbers.
    """
    lines = ["<table>"]
    if head:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    cell_tag = '<td class="number">' if numbers else "<td>"
    for number, (name, *cells) in enumerate(rows):
        mark = f'<span class="swatch" style="background:{colours[number]}"></span>' if colours else ""
        others = "".join(f"{cell_tag}{escape(cell)}</td>" for cell in cells)
        lines.append(f"<tr><th>{mark}{escape(name)}</th>{others}</tr>")
    return "\n".join([*lines, "</table>"])


def html_figure(name: str, jpeg: bytes, size: tuple[int, int], caption: str, odd: bool = False) -> str:
    """Return a picture of `size` (width, height) px with its caption, which is HTML."""
    data = base64.b64encode(jpeg).decode("ascii")
    return (
        f'<figure{" class=odd" if odd else ""}><img src="data:image/jpeg;base64,{data}" width="{size[0]}" height="{size[1]}"'
        f' alt="{escape(name, quote=True)}"><figcaption>{caption}</figcaption></figure>'
    )


def html_histogram(
    title: str, counts: Sequence[int], ends: tuple[str, str], width: int = 360, height: int = 150
) -> str:
    """Return a histogram as SVG: bars of equal width, the largest count, and the texts of both ends of the axis."""
    top, most, step = 18, max(1, *counts), width / max(1, len(counts))
    floor = height - 18
    bars = [
        f'<rect x="{place * step:.1f}" y="{floor - (floor - top) * count / most:.1f}" width="{max(1.0, step - 1):.1f}"'
        f' height="{(floor - top) * count / most:.1f}"/>'
        for place, count in enumerate(counts)
    ]
    return "".join(
        [
            f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">',
            f'<text x="0" y="11">{escape(title)} (highest bar: {most})</text>', *bars,
            f'<text x="0" y="{height - 4}">{escape(ends[0])}</text>',
            f'<text x="{width}" y="{height - 4}" text-anchor="end">{escape(ends[1])}</text>', "</svg>",
        ]
    )  # fmt: skip
