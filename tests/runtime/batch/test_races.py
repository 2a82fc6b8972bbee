"""Two runs at once, planted files and links, and processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from seg_runtime import Segmenter
from seg_runtime.batch import BatchOptions, find_tasks, run_tasks

from tests.support.images import noise_image, picture
from tests.support.models import Made, MakeModel


@pytest.fixture
def two(model: Made, make_model: MakeModel) -> list[Segmenter]:
    return [Segmenter(made.path, provider="cpu", threads=1) for made in (model, make_model(seed=3))]


def segmented(segmenter: Segmenter, image: Path, out: Path, **options: Any) -> list[Any]:
    how = BatchOptions(**options)
    tasks, failed = find_tasks([image], out, False, segmenter.contract, how)
    return [*(error for _, error in failed), *(result for _, result in run_tasks(segmenter, tasks, how))]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_mask_is_of_the_model_that_its_record_names(two: list[Segmenter], tmp_path: Path, overwrite: bool) -> None:
    """100 pairs of runs of two models into one folder, at once."""
    picture(tmp_path / "a.png")
    right = {s.model_sha256: s(tmp_path / "a.png").labels for s in two}
    for number in range(100):
        out, results = tmp_path / f"out{number}", []
        gate = threading.Barrier(2)

        def run(segmenter: Segmenter) -> None:
            gate.wait()  # noqa: B023 - joined below
            results.extend(segmented(segmenter, tmp_path / "a.png", out, overwrite=overwrite, overlay=True))  # noqa: B023

        threads = [threading.Thread(target=run, args=(segmenter,)) for segmenter in two]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record = json.loads((out / "a.json").read_text())
        assert record["complete"]
        np.testing.assert_array_equal(np.asarray(Image.open(out / "a_mask.png")), right[record["model"]["sha256"]])
        assert results.count("done") == (2 if overwrite else 1), results
        assert sorted(p.name for p in out.iterdir()) == ["a.json", "a_mask.png", "a_overlay.png"]


def test_a_planted_record_removes_nothing_of_others(two: list[Segmenter], tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    out = tmp_path / "out"
    for outputs in ({"mask": "precious.txt"}, {"mask": "../precious.txt"}, {"precious": "a_mask.txt"}):
        out.mkdir(exist_ok=True)
        for place in (out / "precious.txt", tmp_path / "precious.txt", out / "a_mask.txt"):
            place.write_text("mine")
        planted = {"input": {"sha256": "x"}, "model": {"sha256": "y"}, "outputs": outputs}
        (out / "a.json").write_text(json.dumps(planted))
        assert segmented(two[0], tmp_path / "a.png", out, overwrite=True) == ["done"]
        for place in (out / "precious.txt", tmp_path / "precious.txt", out / "a_mask.txt"):
            assert place.read_text() == "mine"


@pytest.mark.parametrize("name", ["a_mask.png", "a.json"])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_among_the_results_is_not_followed(
    two: list[Segmenter], tmp_path: Path, name: str, dangling: bool
) -> None:
    picture(tmp_path / "a.png")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    if not dangling:
        elsewhere.write_bytes(b"mine")
    (out / name).symlink_to(elsewhere)
    (result,) = segmented(two[0], tmp_path / "a.png", out)
    assert result == "done" if (name, dangling) == ("a.json", True) else "exists" in str(result)
    assert segmented(two[0], tmp_path / "a.png", out, overwrite=True) == ["done"]
    assert not elsewhere.exists() if dangling else elsewhere.read_bytes() == b"mine"
    assert not (out / name).is_symlink()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_record_that_is_no_file_fails_alone(two: list[Segmenter], tmp_path: Path, kind: str) -> None:
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "b.png")
    out = tmp_path / "out"
    out.mkdir()
    if kind == "pipe":
        os.mkfifo(out / "a.json")
    else:
        (out / "a.json").symlink_to("/dev/zero")
    results = segmented(two[0], tmp_path / "in", out)
    assert sorted(map(str, results))[0].startswith(str(out / "a.json"))
    assert "done" in results


def test_images_that_are_no_files_fail_alone(two: list[Segmenter], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    picture(folder / "good.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.tif").symlink_to("/dev/zero")
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "good_mask.json").write_text("[" * 100_000)
    results = segmented(two[0], folder, tmp_path / "out")
    assert sorted(str(r) for r in results if r != "done") == [
        f"{folder / 'gone.png'} does not exist; expected a PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000, Netpbm or DICOM image. "
        "Check the path.",
        *(
            f"{folder / name} cannot be read (it is not a regular file); expected a PNG, JPEG, TIFF, BMP, GIF, WebP, "
            "JPEG 2000, Netpbm or DICOM image. Check the file and its permissions."
            for name in ("pipe.png", "zero.tif")
        ),
    ]
    assert results.count("done") == 1


START = "from seg_edge import seg_run; seg_run()"


def started(model: Path, folder: Path, **how: Any) -> subprocess.Popen[str]:
    words = ["--model", model, "--provider", "cpu", "--out", folder / "out", folder / "in"]
    command = [sys.executable, "-c", START, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_at_any_time_is_one_line_and_130(number: int, model_file: Path, tmp_path: Path) -> None:
    for name in "abcdef":
        Image.fromarray(noise_image(300, 300)).save(picture(tmp_path / "in" / f"{name}.png"))
    seen = set()
    for moment in np.linspace(0.1, 1.6, 12):
        process = started(model_file, tmp_path)
        time.sleep(moment)
        process.send_signal(number)
        _, text = process.communicate(timeout=60)
        seen.add(process.returncode)
        if process.returncode in (0, -number):  # it had ended, or Python itself had not started yet
            continue
        assert process.returncode == 130, text
        assert "Traceback" not in text
        assert [line for line in text.splitlines() if line.startswith("error: ")] == ["error: interrupted"]
        assert not list((tmp_path / "out").glob(".*")) if (tmp_path / "out").exists() else True
    assert 130 in seen


def test_the_next_run_cleans_up_after_a_killed_one(model_file: Path, tmp_path: Path) -> None:
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    process = started(model_file, tmp_path)
    assert process.wait() == 0
    left = tmp_path / "out" / f".{'0' * 32}.partial"
    left.write_bytes(b"half")
    (tmp_path / "out" / "a_mask.png").unlink()
    process = started(model_file, tmp_path)
    assert process.wait() == 0
    assert not left.exists()
    assert (tmp_path / "out" / "a_mask.png").exists()
