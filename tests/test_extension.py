"""What a package outside of this repository can add by entry points: nothing of ours is edited for it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from tests.support.commands import in_a_process
from tests.support.packages import install
from tests.support.toy_package import seg_edge_toys as toys

PACKAGE = Path(toys.__file__).parent
ENTRY_POINTS = """
[seg_edge.formats]
text-grid = seg_edge_toys:text_grid
[seg_edge.answers]
largest = seg_edge_toys:Largest
[seg_edge.outputs]
count = seg_edge_toys:count_file
[seg_edge.objectives]
largest = seg_edge_toys:LargestObjective
[seg_edge.providers]
counted = seg_edge_toys:Counted
[seg_edge.export_steps]
scaled = seg_edge_toys:Scaled
spoiling = seg_edge_toys:Spoiling
"""
TINY = [
    "--geometry", "tile", "--width", "4", "--depth", "2", "--input-size", "60", "--steps", "60", "--workers", "0",
    "--device", "cpu",
]  # fmt: skip


def run(*words: object, toys: Path | None, log: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """One of our commands, in a process that finds the toy package where it is installed."""
    command, *rest = words
    paths = (toys, PACKAGE) if toys else ()
    done = in_a_process(str(command), *rest, path=paths, SEG_TOY_LOG=str(log))
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata of the toy package, as pip would leave it."""
    return install(tmp_path_factory.mktemp("site"), "seg-edge-toys", points=ENTRY_POINTS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text grids of a large and a small bright disc, and what is bright as their masks."""
    root = tmp_path_factory.mktemp("grids")
    y, x = np.mgrid[:70, :80]
    for number in range(5):
        rng = np.random.default_rng(number)
        mask = ((y - 30) ** 2 + (x - 25 - number) ** 2 < 200) | ((y - 20) ** 2 + (x - 65) ** 2 < 30)
        image = (60 + 120 * mask + rng.normal(0, 8, mask.shape)).clip(0, 255).astype(np.uint8)
        for part, values in (("images", image), ("masks", mask.astype(np.uint8))):
            (root / part).mkdir(exist_ok=True)
            (root / part / f"disc{number}.grid").write_bytes(toys.as_text(values))
    return root


@pytest.fixture(scope="module")
def model(installed: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the toy answer, trained on toy files, exported with a toy step."""
    folder = tmp_path_factory.mktemp("toys")
    log = folder / "log"
    trained = run("seg-train", data, "-o", folder / "m.pt", "--answer", "largest", *TINY, toys=installed, log=log)
    assert "foreground" in trained.stdout
    told = run(
        "seg-export", folder / "m.pt", folder / "m.onnx", "--images", data, "--step", "scaled", toys=installed, log=log
    )
    assert "holds" in told.stdout
    return folder / "m.onnx"


def grid_of(path: Path) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([[int(v) for v in line.split()] for line in path.read_text().splitlines()[1:]])


def test_images_of_the_format_are_answered_on_the_provider(
    installed: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    words = [
        "seg-run",
        "--model",
        model,
        "--provider",
        "counted",
        "--out",
        out,
        "--overlay",
        "--save",
        "count",
        data / "images",
    ]
    done = run(*words, toys=installed, log=log)
    assert "5 segmented" in done.stdout
    assert log.read_text() == "a session\n"
    written = {p.name.removeprefix("disc0") for p in out.glob("disc0*")}
    assert written == {".json", "_mask.grid", "_overlay.png", "_size.txt", "_count.txt"}
    assert (out / "disc0_count.txt").read_text() == "1"
    record = json.loads((out / "disc0.json").read_text())
    mask = grid_of(out / "disc0_mask.grid")
    assert mask.shape == (70, 80)
    assert ndimage.label(mask)[1] == 1  # the image has two discs, the answer the larger one
    assert (mask[30, 25], mask[20, 65]) == (1, 0)  # their middles
    assert np.count_nonzero(mask) > 400  # 200 π = 628 px
    assert int((out / "disc0_size.txt").read_text()) == record["largest"]["pixels"] == np.count_nonzero(mask)
    assert (record["provider"]["used"], record["outputs"]["mask"]) == ("counted", "disc0_mask.grid")
    assert "5 already done" in run(*words, toys=installed, log=log).stdout


def test_the_self_test_and_the_doctor_know_the_provider(installed: Path, model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    tested = run("seg-edge", "self-test", "--model", model, "--provider", "counted", toys=installed, log=log)
    report = json.loads(tested.stdout)
    assert report["self_test"]["passed"]
    assert report["provider"]["used"] == "counted"
    examined = json.loads(run("seg-edge", "doctor", "--provider", "counted", toys=installed, log=log).stdout)
    assert examined["works"]


def test_a_step_is_checked_before_the_work_and_its_outcome_proven(installed: Path, model: Path, tmp_path: Path) -> None:
    checkpoint, log = model.with_suffix(".pt"), tmp_path / "log"
    words = ["seg-export", checkpoint, tmp_path / "n.onnx", "--step"]
    refused = run(*words, "scaled", "--batch", 2, toys=installed, log=log, code=1)
    assert "Leave out --batch" in refused.stderr
    spoiled = run(*words, "spoiling", toys=installed, log=log, code=1)
    assert "leave out --step spoiling" in spoiled.stderr
    assert not (tmp_path / "n.onnx").exists()


def test_without_the_package_the_answer_is_named(model: Path, data: Path, tmp_path: Path) -> None:
    told = run("seg-run", "--model", model, data / "images", toys=None, log=tmp_path / "log", code=1)
    assert "unknown kind of answer 'largest'" in told.stderr
    told = run("seg-run", "--provider", "counted", data, toys=None, log=tmp_path / "log", code=2)
    assert "counted" in told.stderr
