"""NAME_objects.csv: a row for each object."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..formats import Output, PageResult, Prepared, Source
from .measure import summary_of


def rows_of(results: Sequence[PageResult]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and the rows of the objects of all pages. Pages are counted from 1, and named if there are
    several."""
    columns: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    for number, result in enumerate(results, 1):
        page = {"page": number} if len(results) > 1 else {}
        table = {name: values.tolist() for name, values in result.measurements.items()}
        columns |= dict.fromkeys([*page, *table])
        rows += [{**page, **dict(zip(table, row, strict=True))} for row in zip(*table.values(), strict=True)]
    return list(columns), rows


def csv_of(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    r"""Return rows as CSV: UTF-8, a point in numbers, no rounding, and nothing for a value that a row lacks.

    >>> csv_of(["name", "area"], [{"name": "a", "area": 0.1}, {"name": "b, c"}])
    b'name,area\na,0.1\n"b, c",\n'
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = list(columns)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return file.getvalue().encode("utf-8", "backslashreplace")  # a file name may have any bytes


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return repr(value) if isinstance(value, float) else value


def _prepare(results: Sequence[PageResult], source: Source) -> Prepared:
    content = csv_of(*rows_of(results))
    pages = [summary_of(result) for result in results]
    return Prepared(
        ".csv",
        lambda file: file.write(content),
        {"measured": pages[0] if len(pages) == 1 else {"pages": pages}},
    )


MEASURES = Output("objects_csv", (".csv",), _prepare)
"""The measures of all objects, with their numbers and sizes in the record."""
