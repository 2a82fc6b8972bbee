from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from seg_runtime import Segmenter

from tests.hosts.conftest import Case, differing, sample_with_packages


@pytest.fixture(scope="module")
def node() -> Callable[..., subprocess.CompletedProcess[str]]:
    script = sample_with_packages("node") / "segment.mjs"
    return lambda *words: subprocess.run(["node", script, *words], capture_output=True, text=True, timeout=120)


def test_its_mask_is_pythons(node: Callable[..., subprocess.CompletedProcess[str]], case: Case, tmp_path: Path) -> None:
    with Segmenter(case.model, provider="cpu") as segmenter:
        palette = [v for c in segmenter.contract.classes for v in c.color]
    for picture, labels in case.pictures:
        mask = tmp_path / picture.name
        done = node(case.model, picture, mask)
        assert (done.returncode, done.stderr) == (0, ""), picture
        assert " ms, onnxruntime-node " in done.stdout
        assert differing(mask, labels) == 0, picture
        assert Image.open(mask).getpalette() == palette


@pytest.mark.parametrize("word", ["transparent", "16 bits", "colour", "read"])
def test_a_picture_that_does_not_fit_is_one_line(
    node: Callable[..., subprocess.CompletedProcess[str]],
    make_case: Callable[[str], Case],
    bad_pictures: dict[str, Path],
    tmp_path: Path,
    word: str,
) -> None:
    done = node(make_case("grey").model, bad_pictures[word], tmp_path / "mask.png")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert word in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_fit_is_one_line(
    node: Callable[..., subprocess.CompletedProcess[str]], make_case: Callable[[str], Case], tmp_path: Path
) -> None:
    case = make_case("grey")
    picture = case.pictures[0][0]
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(case.model.read_bytes()[:5000])
    for model, reason in ((case.window_model, "--host-ready"), (picture, "not an ONNX file"), (cut, "cut short")):
        done = node(model, picture, tmp_path / "mask.png")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert reason in done.stderr
        assert not (tmp_path / "mask.png").exists()


def test_it_leaves_no_identifier_in_an_empty_home(case: Case, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would; in CI it is off by itself."""
    script = sample_with_packages("node") / "segment.mjs"
    home = tmp_path / "home"
    home.mkdir()
    picture, _ = case.pictures[0]
    words = ["node", script, case.model, picture, tmp_path / "mask.png"]
    subprocess.run(words, env={"HOME": str(home), "PATH": os.environ["PATH"]}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []
