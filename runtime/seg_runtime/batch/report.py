"""A run as one HTML page: counts, sizes of objects, failures, and a small picture of each result."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from ..answers import visible
from ..formats import opened, read_bytes
from ..model import MAX_PIXELS
from ..support import (
    ImageError,
    SegError,
    counted,
    document,
    html_figure,
    html_histogram,
    html_table,
    named,
    prepared,
    read_file,
    warned_once,
)
from .records import SUMMARY, listed_warnings, model_of, read_record

_MOST_PICTURES = 500
_MOST_FINDINGS = 200
_MOST_ROWS = 5000
_MOST_PX = 2 * MAX_PIXELS  # of an overlay, which has a legend below the image
_SIDE_PX = 320
_BINS = 24
_FAR = 3.0  # times the distance of the quartiles above the upper one: Tukey's outer fence
_SIZES = ("volume_mm3", "area_um2", "area")
"""Columns of sizes, the first one that all images have is shown."""
_UNITS = {"volume_mm3": "mm³", "area_um2": "µm²", "area": "px"}
_TABLE_BYTES = 256 << 20


@dataclass(frozen=True)
class _Result:
    """An image with its record, and the sizes of its objects by column."""

    name: str
    stem: Path
    record: Mapping[str, Any]
    sizes: Mapping[str, list[float]]

    @property
    def pages(self) -> list[Mapping[str, Any]]:
        """Measures of each page, see `outputs.summary_of`; none if nothing was measured."""
        measured = self.record.get("measured")
        return [] if not measured else list(measured.get("pages", [measured]))

    @property
    def count(self) -> int | None:
        """Number of objects; None if they were not counted."""
        return sum(int(page["objects"]) for page in self.pages) if self.pages else None


def write_report(path: Path, out: Path, stems: Sequence[Path], failed: Sequence[str]) -> int:
    """Write the page about the images of a run, whether they were segmented now or earlier.

    Args:
        path: file to write.
        out: folder of the results.
        stems: starts of the paths of the results, see `Task`.
        failed: errors of images that failed.

    Returns:
        Number of images on the page.

    Raises:
        SegError: the file cannot be written.
    """
    results = [found for stem in sorted(stems) if (found := _read(out, stem))]
    content = document(f"Results in {out.absolute().name}", _body(out, results, failed)).encode()
    with prepared(path, lambda file: file.write(content)) as put:
        put()
    return len(results)


def _read(out: Path, stem: Path) -> _Result | None:
    try:
        record = read_record(stem.with_name(f"{stem.name}.json"))
    except SegError:
        return None
    if not record or not record.get("complete"):
        return None
    try:
        name = stem.relative_to(out).as_posix()
    except ValueError:
        name = stem.name
    return _Result(name, stem, record, _sizes(stem, record))


def _sizes(stem: Path, record: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the sizes of the objects of an image from its table; empty if there is none."""
    listed = next((name for key, name in record["outputs"].items() if key.startswith("objects_csv")), None)
    if listed is None:
        return {}
    try:
        text = read_file(stem.with_name(listed), _TABLE_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {key: [float(row[key]) for row in rows] for key in _SIZES if all(row.get(key) for row in rows)}
    except (OSError, ValueError, csv.Error):  # removed or changed since
        return {}


def _body(out: Path, results: Sequence[_Result], failed: Sequence[str]) -> Iterator[str]:
    yield f"<h1>Results in {escape(out.absolute().name)}</h1>"
    yield f'<p class="soft">{escape(_origin(results))}</p>'
    known = [result for result in results if result.count is not None]
    objects = sum(result.count or 0 for result in known)
    total = f"{counted(len(results), 'image')}, {len(failed)} failed"
    yield f"<p>{total}" + (f", {counted(objects, 'object')}</p>" if known else "</p>")
    yield from _findings("Failed images", failed, "finding stop")
    warnings = [text for result in results for text in listed_warnings(result.record)]
    yield from _findings("Warnings", warned_once(warnings), "finding")
    if known:
        yield from _classes(results)
        yield from _charts(results, known)
        yield from _table(known)
    yield from _pictures(results)


def _origin(results: Sequence[_Result]) -> str:
    """Return the models and the devices of the images."""
    if not results:
        return "no image was segmented"
    models = sorted({model_of(result.record) for result in results})
    devices = sorted({result.record.get("provider", {}).get("used", "an unknown device") for result in results})
    return f"model {named(models)}, on {named(devices)}"


def _findings(title: str, texts: Sequence[str], kind: str) -> Iterator[str]:
    if not texts:
        return
    yield f"<h2>{title}</h2>"
    yield from (f'<div class="{kind}">{escape(text)}</div>' for text in texts[:_MOST_FINDINGS])
    if len(texts) > _MOST_FINDINGS:
        yield f'<p class="soft">{len(texts) - _MOST_FINDINGS} more left out.</p>'


def _classes(results: Sequence[_Result]) -> Iterator[str]:
    """Sum counts and areas of each class over the images."""
    totals: dict[str, list[float]] = {}
    for page in (page for result in results for page in result.pages):
        for entry in page["classes"]:
            total = totals.setdefault(entry["name"], [0, 0, 0])
            for place, value in enumerate((entry["objects"], entry["area"], page["pixels"])):
                total[place] += value
    rows = [
        (name, f"{count:,.0f}", f"{area:,.0f}", f"{area / max(1, pixels):.2%}")
        for name, (count, area, pixels) in totals.items()
    ]
    yield "<h2>Classes</h2>"
    yield html_table(("class", "objects", "pixels", "share of the pixels"), rows, numbers=True)


def _charts(results: Sequence[_Result], known: Sequence[_Result]) -> Iterator[str]:
    yield "<h2>Sizes and counts</h2>"
    yield '<div class="charts">'
    tables = [result.sizes for result in results if result.sizes]
    if key := next((key for key in _SIZES if tables and all(key in table for table in tables)), None):
        yield _histogram(f"objects by size in {_UNITS[key]}", [size for table in tables for size in table[key]])
    yield _histogram("images by number of objects", [float(result.count or 0) for result in known])
    yield "</div>"


def _histogram(title: str, values: Sequence[float]) -> str:
    """Draw the distribution of values; the last bar holds those far above the others too.

    Bars of whole numbers hold equally many of them, or some bars would be empty for that reason alone.
    """
    if not values:
        return ""
    ordered = sorted(values)
    first, third = (ordered[round(share * (len(ordered) - 1))] for share in (0.25, 0.75))
    far = third + _FAR * (third - first)
    low, high = ordered[0], max(value for value in ordered if value <= far)
    step = (high - low) / _BINS or 1.0
    if all(value.is_integer() for value in ordered):
        step = math.ceil((high - low + 1) / _BINS)
    counts = [0] * min(_BINS, int((high - low) / step) + 1)
    for value in ordered:
        counts[min(len(counts) - 1, int((value - low) / step))] += 1
    beyond = " or more" if ordered[-1] > high else ""
    return html_histogram(title, counts, (f"{low:,.4g}", f"{high:,.4g}{beyond}"))


def _table(known: Sequence[_Result]) -> Iterator[str]:
    rows = []
    for result in known[:_MOST_ROWS]:
        sizes = {key: values for key, values in result.sizes.items() if values}
        key = next((key for key in _SIZES if key in sizes), None)
        mean = f"{sum(sizes[key]) / len(sizes[key]):,.4g} {_UNITS[key]}" if key else "–"
        rows.append((result.name, f"{result.count:,}", mean))
    yield "<h2>Images</h2>"
    yield html_table(("image", "objects", "mean size"), rows, numbers=True)
    if len(known) > _MOST_ROWS:
        more = counted(len(known) - _MOST_ROWS, "more image")
        yield f'<p class="soft">{more} left out. {SUMMARY} in the folder of the results has all of them.</p>'


def _overlay(result: _Result) -> str:
    """Return the name of the overlay of an image; empty if there is none."""
    return next((name for key, name in result.record["outputs"].items() if key.partition("_")[0] == "overlay"), "")


def _thumbnail(path: Path) -> Image.Image:
    """Return a small copy of a picture; raises ImageError."""
    pages = opened(read_bytes(path), str(path), _MOST_PX)
    pixels = visible(pages[0])
    pages.close()
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SIDE_PX, _SIDE_PX))
    return picture


def _pictures(results: Sequence[_Result]) -> Iterator[str]:
    overlays = {result.name: _overlay(result) for result in results}
    drawn = [result for result in results if overlays[result.name]]
    if not drawn:
        return
    yield "<h2>Pictures</h2>"
    if len(drawn) > _MOST_PICTURES:
        yield f'<p class="soft">{len(drawn) - _MOST_PICTURES} more pictures are left out.</p>'
    yield '<div class="sheet">'
    lost = 0
    for result in drawn[:_MOST_PICTURES]:
        try:
            small = _thumbnail(result.stem.with_name(overlays[result.name]))
        except ImageError:  # removed or changed since, or above the limit
            lost += 1
            continue
        file = io.BytesIO()
        small.save(file, "JPEG", quality=82)
        caption = escape(result.name) + ("" if result.count is None else f"<br>{counted(result.count, 'object')}")
        odd = bool(listed_warnings(result.record))
        yield html_figure(result.name, file.getvalue(), small.size, caption, odd)
    yield "</div>"
    if lost:
        what = counted(lost, "picture")
        yield f'<p class="soft">{what} left out: missing, damaged, or of more than {_MOST_PX:,} px.</p>'
