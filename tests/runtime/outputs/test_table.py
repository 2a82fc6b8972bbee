from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from seg_runtime.formats import Place
from seg_runtime.outputs import MEASURES
from seg_runtime.segmentation import Segmentation

from tests.support.objectmaps import ODD, result_of


def written(*results: Segmentation) -> tuple[bytes, list[dict[str, str]]]:
    file = io.BytesIO()
    suffix, write, _ = MEASURES.prepare(list(results), None)  # type: ignore[arg-type, misc]
    assert suffix == ".csv"
    write(file)
    return file.getvalue(), list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))


def test_every_number_is_read_back_exactly() -> None:
    result = result_of(ODD, place=Place((0.0003, 0.0003)))
    data, rows = written(result)
    assert b"\r" not in data
    assert rows[1]["class"] == "Zellwand, außen"
    table = result.measurements
    assert list(rows[0]) == list(table)
    for name in table.keys() - {"class"}:
        np.testing.assert_array_equal([float(row[name]) for row in rows], table[name], err_msg=name)
    assert rows[0]["area"] == "16"
    assert (data, rows) == written(result_of(ODD, place=Place((0.0003, 0.0003))))


def test_pages_are_numbered_and_may_differ_in_columns() -> None:
    _, rows = written(result_of(ODD), result_of(np.zeros((4, 4))), result_of(np.eye(3), place=Place((1e-3, 1e-3))))
    assert [row["page"] for row in rows] == ["1"] * 9 + ["3"]
    assert (rows[0]["area_um2"], float(rows[-1]["area_um2"])) == ("", pytest.approx(3))


def test_no_object_is_a_table_of_no_rows() -> None:
    data, rows = written(result_of(np.zeros((4, 4), np.int32)))
    assert rows == []
    assert data.startswith(b"label,class,centroid-0,centroid-1,bbox-0,")
    assert data.count(b"\n") == 1
