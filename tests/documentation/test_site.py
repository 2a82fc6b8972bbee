"""The site is built without a warning, is searched offline, and fits a phone."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.chromium import Chromium, find_chromium
from tests.support.places import ROOT
from tests.support.tools import missing

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    # without --quiet, which hides warnings from --strict
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", place]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if not find_chromium():
        missing("chromium is not installed")
    with Chromium(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


def wait_for(browser: Chromium, expression: str) -> None:
    end = time.monotonic() + 30
    while not browser.js(expression):
        assert time.monotonic() < end, expression
        time.sleep(0.1)


def test_every_command_and_rule_is_there(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text()
    for name in ("train", "evaluate", "import", "recipes", "export", "run", "self-test", "doctor", "tune"):
        assert f'id="{name}"' in commands
    assert "--val-fraction" in commands
    rules = (site / "reference" / "options.html").read_text()
    assert rules.count("<table>") == 5
    assert "<!-- rules" not in rules
    assert "seg_runtime.segmenter.Segmenter" in (site / "reference" / "python.html").read_text()


def test_the_search_finds_a_page_and_nothing_is_loaded_from_elsewhere(browser: Chromium, address: str) -> None:
    browser.open(f"{address}/index.html?q=winograd")
    wait_for(browser, "document.querySelectorAll('.md-search-result__item').length > 0")
    links = browser.js("[...document.querySelectorAll('.md-search-result__link')].map(a => a.href).join(' ')")
    assert "winograd.html" in links
    assert browser.requested() == {f"{address}/"}
    assert browser.complaints() == []


@pytest.mark.parametrize("page", ["index", "get-started", "gallery", "benchmarks", "reference/commands"])
def test_a_phone_needs_no_scrolling_sideways(browser: Chromium, address: str, page: str) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", **PHONE)
    browser.open(f"{address}/{page}.html")
    wait_for(browser, "document.readyState === 'complete'")
    assert browser.js("document.documentElement.scrollWidth") <= PHONE["width"]
    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src).join(' ')"
    assert browser.js(broken) == ""
    browser.call("Emulation.clearDeviceMetricsOverride")
