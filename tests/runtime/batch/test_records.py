"""The record of a file: of its one page, or of all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.batch.records import read_record, stack_record
from seg_runtime.support import SegError


def page(name: str, ms: float) -> dict[str, object]:
    shared = {"model": {}, "provider": {}, "versions": {}, "run": {"time": str(ms)}, "classes": []}
    return {"input": {"name": name, "sha256": "0"}, "ms": {"inference": ms}, **shared}


def test_one_page_is_its_own_record() -> None:
    record = stack_record([page("a.png", 5)], {"decode": 1.00049}, {"mask": "a_mask.png"})
    assert record["ms"] == {"inference": 5, "decode": 1.0}
    assert record["outputs"] == {"mask": "a_mask.png"}
    assert "pages" not in record


def test_pages_are_listed() -> None:
    record = stack_record([page("a.tif", 5), page("a.tif", 7)], {"decode": 1}, {})
    assert record["input"]["pages"] == 2
    assert [p["ms"]["inference"] for p in record["pages"]] == [5, 7]
    assert record["run"] == {"time": "5"}  # of the first page
    assert not any("run" in p for p in record["pages"])


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", '{"input": {}}', '{"outputs": {"mask": "../a"}}'])
def test_a_file_of_that_name_that_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SegError, match="is not a record of seg-run"):
        read_record(tmp_path / "a.json")
