"""The page about a run, from records and pictures of any kind."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.batch import report, write_report


def result(out: Path, name: str, overlay: bytes | None = None) -> Path:
    """The record of an image with two objects, and its overlay."""
    measured = {"objects": 2, "pixels": 100, "classes": [{"name": "cell", "objects": 2, "area": 8}]}
    record = {
        "complete": True, "input": {"sha256": "0" * 64}, "model": {"sha256": "1" * 64},
        "outputs": {} if overlay is None else {"overlay": f"{name}_overlay.png"}, "measured": measured,
    }  # fmt: skip
    (out / f"{name}.json").write_text(json.dumps(record))
    if overlay:
        (out / f"{name}_overlay.png").write_bytes(overlay)
    return out / name


def header(width: int, height: int) -> bytes:
    """A PNG whose header promises this size, without pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def page_of(out: Path, stems: list[Path]) -> str:
    write_report(out / "report.html", out, stems, [])
    return (out / "report.html").read_text()


def test_an_overlay_above_the_limit_is_left_out(tmp_path: Path) -> None:
    """Pillow refuses it with an error that is neither OSError nor ValueError."""
    page = page_of(tmp_path, [result(tmp_path, "a", header(30_000, 30_000)), result(tmp_path, "b", b"")])
    assert "2 pictures left out: missing, damaged, or of more than 357,913,940 px." in page
    assert "<figure>" not in page


def test_the_limit_is_not_that_of_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image within the default --max-pixels has an overlay with a legend, which may be above Pillow's limit."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    stem = result(tmp_path, "a")
    Image.fromarray(np.full((700, 900, 3), (200, 100, 50), np.uint8)).save(tmp_path / "a_overlay.png")
    record = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**record, "outputs": {"overlay": "a_overlay.png"}}))
    page = page_of(tmp_path, [stem])
    assert 'width="320" height="249"' in page
    assert "left out" not in page


def test_the_table_of_a_large_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = [result(tmp_path, f"field {number}") for number in range(4)]
    assert page_of(tmp_path, stems).count("<tr><th>field") == 4
    assert "left out" not in page_of(tmp_path, stems)
    monkeypatch.setattr(report, "_MOST_ROWS", 3)
    page = page_of(tmp_path, stems)
    assert page.count("<tr><th>field") == 3
    assert "1 more image left out. summary.csv in the folder of the results has all of them." in page
    assert "4 images, 0 failed, 8 objects" in page
