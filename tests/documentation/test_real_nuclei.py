"""The pages about objects, followed with real images where this machine has them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.documentation.test_commands import commands, shell
from tests.support.places import REAL, ROOT


def test_the_pages_about_objects_with_real_nuclei(tmp_path: Path) -> None:
    """From a folder of fluorescence images to a table, histograms and outlines."""
    real = REAL / "dsb2018_nuclei_grey"
    if not real.exists():
        pytest.skip(f"{real} is not on this machine")
    small = sorted((real / "images").iterdir(), key=lambda path: (path.stat().st_size, path.name))[:12]
    names = sorted(path.name for path in small)
    for part in ("images", "instances"):
        (tmp_path / "nuclei" / part).mkdir(parents=True)
        for name in names:
            shutil.copy(real / part / name, tmp_path / "nuclei" / part / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    pages = [ROOT / "docs" / "how-to" / name for name in ("objects.md", "measure.md")]
    lines = [
        line for page in pages for line in commands(page) if "samples.make" not in line and "model.onnx" not in line
    ]
    assert len(lines) == 6
    shell("\n".join(lines), tmp_path)
    out = tmp_path / "measured"
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [name[:-4] for name in names]
    for row in rows:
        with (out / f"{row['name']}_objects.csv").open(newline="", encoding="utf-8") as file:
            assert len(list(csv.DictReader(file))) == int(row["objects"])
        outlines = json.loads((out / f"{row['name']}_objects.geojson").read_text(encoding="utf-8"))
        assert len(outlines["features"]) == int(row["objects"])
    assert sum(int(row["objects"]) for row in rows) > 100
    page = (tmp_path / "measured.html").read_text(encoding="utf-8")
    assert "12 images, 0 failed" in page
    assert page.count("<svg") >= 2  # sizes, and objects in an image
