"""The page of `seg-run --report` in a real browser, without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_export.pipeline import export, write

from tests.hosts.chromium import Chromium, find_chromium
from tests.support.bright import bright
from tests.support.commands import ok, seg_run_on_cpu
from tests.support.images import put
from tests.support.tools import missing
from tests.support.touching import discs


def test_the_page_is_complete_in_a_browser(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    if not find_chromium():
        missing("chromium is not installed")
    write(export(bright()), tmp_path / "m.onnx")
    for number in range(3):
        ids = discs((80, 120), [(20, 20 + 27 * place) for place in range(number + 1)], 10)
        put(tmp_path / "images" / f"{number}.png", (30 + 200 * (ids > 0)).astype(np.uint8))
    page = tmp_path / "report.html"
    ok(seg_run_on_cpu("--model", tmp_path / "m.onnx", tmp_path / "images", "-o", tmp_path / "out", "--report", page))
    with Chromium(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads")) as browser:
        browser.open(page.as_uri())
        browser.wait("document.readyState === 'complete' && document.images.length === 3")
        browser.wait("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert "3 images, 0 failed, 6 objects" in browser.text()
        assert browser.js("document.querySelectorAll('svg rect').length") > 2
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert browser.js(wide)
        assert browser.requested() == {"file:///"}
        assert not browser.complaints()
