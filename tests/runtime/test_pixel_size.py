"""Images whose pixels have another size than those of the training images: the result is that of the native size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_runtime.model import Acquisition, Policy
from seg_toolkit.checkpoints import save

from tests.support.bright import bright
from tests.support.commands import error_of, ok, seg_edge, seg_run_on_cpu
from tests.support.images import put
from tests.support.policies import with_parts

UM = 1e-3
DISCS = ((50.0, 60.0, 22.0), (90.0, 130.0, 30.0), (140.0, 50.0, 14.0))  # row, column and radius in µm


def phantom(side_um: float) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw bright discs, 180 × 170 µm, with pixels of a size; and which pixels are inside of one."""
    fine = 4
    rows, columns = ((np.arange(round(n / side_um * fine)) + 0.5) * side_um / fine for n in (180, 170))
    inside = np.zeros((len(rows), len(columns)), bool)
    for row, column, radius in DISCS:
        inside |= (rows[:, None] - row) ** 2 + (columns - column) ** 2 < radius**2
    shares = inside.reshape(len(rows) // fine, fine, len(columns) // fine, fine).mean(axis=(1, 3))
    return np.rint(30 + 200 * shares).astype(np.uint8), shares >= 0.5


def dice(found: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on pixels of 1 µm."""
    folder = tmp_path_factory.mktemp("model")
    write(export(bright()), folder / "plain.onnx")
    return with_parts(folder / "plain.onnx", folder / "sized.onnx", policy=Policy(trained_spacing_mm=((UM, UM),) * 2))


@pytest.mark.parametrize(("side_um", "scaled"), [(1.0, None), (0.5, [180, 170]), (2.0, [180, 170])])
def test_a_phantom_at_half_same_and_double_size(
    model: Path, tmp_path: Path, side_um: float, scaled: list[int] | None
) -> None:
    image, truth = phantom(side_um)
    per_cm = 1e4 / side_um
    tifffile.imwrite(tmp_path / "a.tif", image, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    ok(seg_run_on_cpu("--model", model, tmp_path / "a.tif", "-o", tmp_path / "out"))
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["input"]["spacing_mm"] == pytest.approx([side_um * UM] * 2)
    assert record["warnings"] == []
    assert record["input"].get("resampled", {}).get("shape") == scaled
    with Segmenter(model, provider="cpu") as segmenter:
        result = segmenter(tmp_path / "a.tif")
        native = segmenter(phantom(1.0)[0], spacing_mm=(UM,))
    assert result.labels.shape == image.shape == result.probabilities.shape[1:]
    assert abs(dice(result.labels == 1, truth) - dice(native.labels == 1, phantom(1.0)[1])) < 0.02
    assert np.array_equal(result.probabilities.argmax(axis=0), result.labels)


def test_the_given_size_replaces_that_of_the_file(model: Path, tmp_path: Path) -> None:
    image, _ = phantom(0.5)
    tifffile.imwrite(tmp_path / "a.tif", image, resolution=(72, 72), resolutionunit="INCH")
    words = ("--model", model, tmp_path / "a.tif", "-o", tmp_path / "out")
    done = ok(seg_run_on_cpu(*words))
    assert "no stated pixel size (72 dpi, as programs write without measuring), while that of" in done.output
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["input"]["spacing_doubt"].startswith("72 dpi")
    ok(seg_run_on_cpu(*words, "--pixel-size", "0.5um", "--overwrite"))
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["input"]["resampled"]["shape"] == [180, 170]
    assert record["warnings"] == []


def test_an_image_that_becomes_too_large_fails_alone(model: Path, tmp_path: Path) -> None:
    image, _ = phantom(2.0)
    tifffile.imwrite(tmp_path / "a.tif", image)
    words = (
        "--model",
        model,
        tmp_path / "a.tif",
        "-o",
        tmp_path / "out",
        "--pixel-size",
        "2um",
        "--max-pixels",
        "30599",
    )
    assert "a.tif has 90 × 85 px, and 180 × 170 px with pixels of the size" in error_of(seg_run_on_cpu(*words))
    ok(seg_run_on_cpu(*words, "--resample", "never"))
    ok(seg_run_on_cpu(*words[:-1], "30600", "--overwrite"))


def test_the_pages_of_a_stack_take_a_size_too(model: Path, tmp_path: Path) -> None:
    image, _ = phantom(0.5)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([image, image[::-1]]), photometric="minisblack")
    with Segmenter(model, provider="cpu") as segmenter:
        first, second = segmenter.pages(tmp_path / "a.tif", spacing_mm=(0.5 * UM,))
        alone = segmenter(image, spacing_mm=(0.5 * UM,))
    assert first.record["input"]["resampled"] == second.record["input"]["resampled"]
    assert np.array_equal(first.labels, alone.labels)


def test_another_size_or_mode_is_another_run(model: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", phantom(1.0)[0])
    words = ("--model", model, tmp_path / "a.tif", "-o", tmp_path / "out", "--pixel-size", "1um")
    ok(seg_run_on_cpu(*words))
    assert "1 already done" in ok(seg_run_on_cpu(*words)).output
    assert "a run with another pixel size" in error_of(seg_run_on_cpu(*words[:-1], "0.5um"))
    assert "a run with --resample auto" in error_of(seg_run_on_cpu(*words, "--resample", "never"))


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ("1", "with a unit of length"),
        ("0um", "which cannot be"),
        ("-1um", "which cannot be"),
        ("1x1x1um", "has 2 axes"),
    ],
)
def test_bad_sizes(model: Path, tmp_path: Path, size: str, problem: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", phantom(1.0)[0])
    assert problem in error_of(seg_run_on_cpu("--model", model, tmp_path / "a.tif", "--pixel-size", size))


def test_the_size_is_part_of_the_acquisition() -> None:
    assert Policy.learnt([Acquisition(spacing_mm=(UM, UM))], None, 2).trained_spacing_mm == ((UM, UM), (UM, UM))


def test_evaluate_resamples_as_seg_run_does(model: Path, tmp_path: Path) -> None:
    """Masks that seg-run has made are scored as perfect."""
    made = bright()
    policy = Policy(trained_spacing_mm=((UM, UM),) * 2)
    save(replace(made, contract=replace(made.contract, policy=policy)), tmp_path / "m.pt")
    for side_um in (0.5, 1.0, 2.0):
        per_cm, file = 1e4 / side_um, tmp_path / "data" / "images" / f"{side_um}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).integers(-60, 60, phantom(side_um)[0].shape)
        grey = (phantom(side_um)[0] + noise).clip(0, 255).astype(np.uint8)
        tifffile.imwrite(file, grey, resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    ok(seg_run_on_cpu("--model", model, tmp_path / "data" / "images", "-o", tmp_path / "out"))
    for side_um in (0.5, 1.0, 2.0):
        mask = np.asarray(Image.open(tmp_path / "out" / f"{side_um}_mask.png"))
        put(tmp_path / "data" / "masks" / f"{side_um}.png", mask * np.uint8(255))
    done = ok(seg_edge("evaluate", tmp_path / "m.pt", tmp_path / "data"))
    assert json.loads(done.stdout)["mean_dice"] == 1.0


def test_unknown_sizes_are_said_once(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.tif", "c.tif"):
        tifffile.imwrite(tmp_path / "in" / name, phantom(1.0)[0])
    tifffile.imwrite(tmp_path / "in" / "a.tif", phantom(1.0)[0], resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    words = ("--model", model, tmp_path / "in", "-o", tmp_path / "out", "--measure")
    said = [line for line in ok(seg_run_on_cpu(*words)).output.splitlines() if line.startswith("note:")]
    assert len(said) == 2
    assert "b.tif has no stated pixel size" in said[0]
    assert said[0].endswith(f"; the same holds for {tmp_path / 'in' / 'c.tif'}")
    assert said[1] == "note: 2 images of 3 state no pixel size, so their measures are in px only; --pixel-size gives it"
    said = [line for line in ok(seg_run_on_cpu(*words)).output.splitlines() if line.startswith("note:")]
    assert len(said) == 1  # images that are done already count
    done = ok(seg_run_on_cpu(*words, "--pixel-size", "1um", "--overwrite"))
    assert "no pixel size" not in done.output
    rows = (tmp_path / "out" / "summary.csv").read_text().splitlines()
    assert rows[0].endswith(",model,warnings")


def test_warnings_are_in_the_summary_and_on_the_page(model: Path, tmp_path: Path) -> None:
    for name in ("b.tif", "c.tif"):
        (tmp_path / "in").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "in" / name, phantom(1.0)[0])
    page = tmp_path / "page.html"
    ok(seg_run_on_cpu("--model", model, tmp_path / "in", "-o", tmp_path / "out", "--report", page))
    rows = (tmp_path / "out" / "summary.csv").read_text().splitlines()[1:]
    assert all("has no stated pixel size" in row for row in rows)
    assert page.read_text().count("has no stated pixel size") == 1
    assert f"the same holds for {tmp_path / 'in' / 'c.tif'}" in page.read_text()


def test_results_of_two_models_are_told_apart(model: Path, tmp_path: Path) -> None:
    other = with_parts(model, tmp_path / "other.onnx", policy=Policy())
    for name, file in (("b.tif", model), ("c.tif", other)):
        tifffile.imwrite(tmp_path / name, phantom(1.0)[0])
        done = ok(seg_run_on_cpu("--model", file, tmp_path / name, "-o", tmp_path / "out", "--measure"))
    assert "summary.csv has results of 2 models, see its column model" in done.output
