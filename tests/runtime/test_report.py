"""`seg-run --report`: the page about a run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_export.pipeline import export, write

from tests.support.bright import bright
from tests.support.commands import error_of, ok, seg_run_on_cpu
from tests.support.images import put
from tests.support.touching import discs

ODD = "<b>&'ä.png"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    write(export(bright()), path)
    return path


def field(path: Path, count: int) -> None:
    """Write a picture of bright discs of 10 px radius."""
    ids = discs((80, 120), [(20, 20 + 27 * place) for place in range(count)], 10)
    put(path, (30 + 200 * (ids > 0)).astype(np.uint8))


class Texts(HTMLParser):
    """All texts of a page, and the sources of its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.found.append(data.strip())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, count in (("one.png", 1), (ODD, 4), ("none.png", 0)):
        field(tmp_path / "images" / name, count)
    (tmp_path / "images" / "bad.png").write_bytes(b"junk")
    return tmp_path / "images"


def test_the_page_has_counts_sizes_failures_and_pictures(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out", "--report", tmp_path / "report.html")
    done = seg_run_on_cpu(*words)
    assert done.exit_code == 1  # bad.png
    assert "report.html, 3 images" in done.output
    page = (tmp_path / "report.html").read_text()
    texts = Texts(page)
    assert "3 images, 1 failed, 5 objects" in texts.found
    assert any("bad.png is not a readable image" in text for text in texts.found)
    assert texts.found.count(ODD.removesuffix(".png")) == 2  # in the table and below its picture
    assert len(texts.pictures) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in texts.pictures)
    area = int((discs((80, 120), [(20, 20)], 10) > 0).sum())
    assert f"{area} px" in texts.found
    bars = re.search(r"objects by size in px.*?</svg>", page, re.DOTALL)
    assert bars
    assert "(highest bar: 5)" in bars[0]  # all discs have one size
    counts = re.search(r"images by number of objects.*?</svg>", page, re.DOTALL)
    assert counts
    assert counts[0].count("<rect") == 5  # a bar for each number from 0 to 4
    assert "http" not in page
    assert (tmp_path / "out" / "one_objects.csv").exists()
    assert (tmp_path / "out" / "summary.csv").exists()


def test_a_resumed_run_reports_all_images(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out")
    seg_run_on_cpu(*words, "--measure")
    (images / "bad.png").unlink()
    done = ok(seg_run_on_cpu(*words, "--report", tmp_path / "report.html"))
    assert "3 already done" in done.output
    assert "3 images, 0 failed, 5 objects" in Texts((tmp_path / "report.html").read_text()).found


def test_an_isolated_run_reports_all_images(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out", "--report", tmp_path / "report.html", "--isolate")
    seg_run_on_cpu(*words)
    assert "3 images, 1 failed, 5 objects" in Texts((tmp_path / "report.html").read_text()).found


def test_a_wrong_place_for_the_page_is_refused_before_the_work(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out", "--report")
    before = (images / "one.png").read_bytes()
    assert "expected a file with the suffix .html" in error_of(seg_run_on_cpu(*words, images / "one.png"))
    assert (images / "one.png").read_bytes() == before
    (tmp_path / "folder.html").mkdir()
    assert "is a folder" in error_of(seg_run_on_cpu(*words, tmp_path / "folder.html"))
    assert not (tmp_path / "out").exists()


def test_small_objects_are_left_out_of_the_page(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out", "--report", tmp_path / "report.html")
    seg_run_on_cpu(*words, "--smallest-object", "10000")
    assert "3 images, 1 failed, 0 objects" in Texts((tmp_path / "report.html").read_text()).found


def test_results_that_were_removed_since_are_left_out(model: Path, images: Path, tmp_path: Path) -> None:
    words = ("--model", model, images, "-o", tmp_path / "out", "--report", tmp_path / "report.html")
    seg_run_on_cpu(*words)
    overlay = tmp_path / "out" / "one_overlay.png"
    overlay.write_bytes(overlay.read_bytes()[:100])
    (tmp_path / "out" / "none_objects.csv").unlink()
    with Image.open(tmp_path / "out" / "none_overlay.png") as picture:
        picture.verify()
    from seg_runtime.batch import write_report

    stems = [tmp_path / "out" / name for name in ("one", "none", "missing")]
    assert write_report(tmp_path / "again.html", tmp_path / "out", stems, []) == 2
    texts = Texts((tmp_path / "again.html").read_text())
    assert len(texts.pictures) == 1
    assert any(text.startswith("1 picture left out") for text in texts.found)


@pytest.mark.parametrize("option", ["--objects", "--measure", "--report"])
def test_a_missing_extra_ends_a_run_before_the_work(
    model: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr("seg_runtime.support.imports.find_spec", lambda name: None)
    words = (option, tmp_path / "report.html") if option == "--report" else (option,)
    done = seg_run_on_cpu("--model", model, images, "-o", tmp_path / "out", *words)
    assert "Install the extra 'objects'" in error_of(done)
    assert not (tmp_path / "out").exists()
