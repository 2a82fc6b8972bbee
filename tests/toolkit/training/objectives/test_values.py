"""Regression in the toolkit: outputs, scores, windows of training, and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seg_runtime.model.answer import OutputInfo
from seg_runtime.model.contract import Contract
from seg_toolkit.checkpoints import load
from seg_toolkit.data import NONE, Example
from seg_toolkit.networks.unet import UNet
from seg_toolkit.training import RunFiles
from seg_toolkit.training.objectives.values import ValueObjective
from seg_toolkit.training.windows import WindowStream

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.contracts import contract
from tests.support.folders import SMALL, cases_of
from tests.support.images import put

TINY = [
    "--width", "4", "--depth", "2", "--input-size", "60", "--workers", "0", "--device", "cpu", "--reader", "targets",
]  # fmt: skip
ONE = (OutputInfo("value", 50.0, 10.0, 0.0, 100.0, "K"),)


def write(root: Path, count: int = 4, size: int = 48) -> Path:
    """Images, and what is twice their neighbourhood's mean and more: nothing that a pixel tells alone."""
    for number in range(count):
        rng = np.random.default_rng(number)
        image = rng.integers(0, 256, (size // 4, size // 4)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        put(root / "images" / f"a{number}.png", image)
        put(root / "targets" / f"a{number}.tif", (image * np.float32(0.02) - np.float32(1)).astype(np.float32))
    return root


def one(**changes: object) -> Contract:
    """60 -> 20 px, tiled by 20, one output in units of 1."""
    return contract(60, 20, stride=4, **{"outputs": ONE, **changes})


def test_a_summary_is_json_and_a_table() -> None:
    objective = ValueObjective(one())
    judged = [
        objective.compare(f"a{n}", Example.of_values(np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8, 1))), np.full((1, 8, 8), n, np.float32))
        for n in (1, 3)
    ]  # fmt: skip
    result = objective.summary([j.figures for j in judged])
    json.dumps(result, allow_nan=False)
    assert result["outputs"][0] | {"psnr": 0, "mae": round(result["outputs"][0]["mae"], 6)} == {
        "name": "value", "unit": "K", "mae": 2, "rmse": 2, "psnr": 0, "ssim": None,
    }  # fmt: skip
    assert objective.best(result) == pytest.approx((40 + 40 - 20 * np.log10(3)) / 2)
    assert "value (K)" in objective.table(result)
    picture = objective.preview(judged)
    assert picture.width == 900


@pytest.mark.parametrize("flips", ["all", "square"])
def test_windows_of_training_hold_the_very_pixels_where_only_flips_are_drawn(tmp_path: Path, flips: str) -> None:
    cases = cases_of("targets", write(tmp_path), print)
    objective = ValueObjective(one(outputs=(replace(ONE[0], offset=1.0, scale=2.0),)))
    stream = WindowStream(cases, objective, replace(NONE, flips=flips), seed=0, balance=0.0)
    for index in range(6):
        item = stream[index]
        assert isinstance(item, tuple)
        image, truth, weights = (part.numpy() for part in item)
        assert (image.shape, truth.shape, weights.shape) == ((1, 60, 60), (1, 20, 20), (20, 20))
        grey = image[0, 20:40, 20:40] * 255
        np.testing.assert_allclose(grey, np.rint(grey), atol=1e-3)
        np.testing.assert_allclose(truth[0], (grey * 0.02 - 1 - 1) / 2, atol=1e-4)
        assert (weights == 1).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set and a model that was trained on it for a moment."""
    folder = tmp_path_factory.mktemp("values")
    data, out = write(folder / "data"), folder / "m.pt"
    words = [data, *TINY, "--steps", "120", "--lr", "0.01", "--dropout", "0", "--outputs", "height=mm", "-o", out]
    ok(seg_train(*words))
    return data, out


def test_a_training_learns_and_keeps_what_it_was(trained: tuple[Path, Path]) -> None:
    kept = load(trained[1])
    c = kept.contract
    assert (c.answer.kind, c.geometry.method, c.input.intensity.method) == ("values", "tile", "standardize")
    assert [(o.name, o.unit) for o in c.answer.outputs] == [("height", "mm")]
    settings = c.provenance["settings"]
    assert (settings["loss"], settings["augment"]) == ("l1", "none,flips=square")
    found = c.provenance["validation"]
    spread = c.answer.outputs[0].scale
    assert found["outputs"][0]["rmse"] < 0.5 * spread  # what the mean of all targets would miss by
    log = trained[1].with_suffix(".csv").read_text().splitlines()
    assert log[0] == "step,loss,psnr"
    assert max(float(line.split(",")[2]) for line in log[1:]) == pytest.approx(found["mean_psnr"])
    for ending in (".preview.png", ".curve.png"):
        assert min(Image.open(trained[1].with_suffix(ending)).size) > 100


def test_evaluate_says_what_training_said(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = trained
    names = load(out).split.validation
    (tmp_path / "val.txt").write_text("\n".join(names))
    done = ok(seg_edge("evaluate", out, data, "--json", tmp_path / "s.json", "--val-list", tmp_path / "val.txt"))
    assert "height (mm)" in done.stderr
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["mean_psnr"] == pytest.approx(load(out).contract.provenance["validation"]["mean_psnr"], abs=1e-3)
    again = ok(seg_edge("evaluate", out, data, "--classes", "a=0,b=1", "--metrics", "rand"))
    for option in ("--classes", "--metrics"):
        assert f"note: this kind of output does not use it, so {option} is ignored" in again.stderr


def test_a_truth_of_another_kind_is_refused_before_it_is_scored(trained: tuple[Path, Path], tmp_path: Path) -> None:
    for part in ("images", "targets"):
        put(tmp_path / part / "a.png", np.zeros((48, 48, 3) if part == "targets" else (48, 48), np.uint8))
        put(tmp_path / "labels" / part.replace("targets", "masks") / "a.png", np.zeros((48, 48), np.uint8))
    told = seg_edge("evaluate", trained[1], tmp_path)
    assert (told.exit_code, "DATA has 3 values per pixel; expected 1 value per pixel" in told.stderr) == (
        1,
        True,
    )
    told = seg_edge("evaluate", trained[1], tmp_path / "labels", "--reader", "pairs")
    assert (told.exit_code, "DATA has labels as the ground truth; expected values" in told.stderr) == (1, True)


def test_the_best_checkpoint_is_that_of_the_best_psnr_though_it_be_negative(tmp_path: Path) -> None:
    for number in range(2):
        put(tmp_path / "images" / f"a{number}.png", np.full((48, 48), 10 + number, np.uint8))
        target = np.zeros((48, 48), np.float32)
        target[0, :2] = (0, 1e-3)
        put(tmp_path / "targets" / f"a{number}.tif", target + number)
    out = tmp_path / "m.pt"
    ok(seg_train(tmp_path, *TINY, "--steps", "2", "--lr", "50", "-o", out))
    found = load(out)
    assert found.contract.provenance["validation"]["mean_psnr"] < 0
    assert found.build()


def test_a_training_goes_on_where_it_was(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data"), tmp_path / "m.pt"
    words = [data, *TINY, "--loss", "l2+ssim", "-o", out, "--steps", "4"]
    ok(seg_train(*words))
    ok(seg_train(*words, "--resume"))
    before = load(RunFiles(out).state).contract
    put(data / "images" / "z.png", np.full((48, 48), 250, np.uint8))
    put(data / "targets" / "z.tif", np.full((48, 48), 500, np.float32))
    other = ok(seg_train("-o", out, "--resume", "--steps", "5", "--loss", "l1"))
    assert "--loss l2+ssim → l1, 1 image added" in other.stderr
    after = load(RunFiles(out).state).contract
    assert (after.answer, after.input) == (before.answer, before.input)  # an added image moves no scale


def test_outputs_of_a_parent_keep_their_values_on_another_scale(tmp_path: Path) -> None:
    data, more = write(tmp_path / "data"), write(tmp_path / "more", 6)
    put(
        more / "targets" / "a5.tif", np.full((48, 48), 50, np.float32)
    )  # the mean and the spread of these targets differ
    ok(seg_train(data, *TINY, "--steps", "3", "-o", tmp_path / "m.pt"))
    rest = ["--workers", "0", "--device", "cpu", "--reader", "targets", "--steps", "1", "--lr", "1e-9"]
    told = ok(seg_train(more, *rest, "--from", tmp_path / "m.pt", "-o", tmp_path / "child.pt")).stderr
    assert "kept value" in told
    (old,), (new,) = (load(tmp_path / f"{name}.pt").contract.answer.outputs for name in ("m", "child"))  # type: ignore[attr-defined]
    assert new.scale > 2 * old.scale
    rmse = [
        json.loads(ok(seg_edge("evaluate", tmp_path / f"{name}.pt", data, "--include-training")).stdout)["outputs"][0][
            "rmse"
        ]
        for name in ("m", "child")
    ]
    assert rmse[1] == pytest.approx(rmse[0], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--loss", "huber"], "--loss is huber; expected l1, l2, ssim, or a sum"),
        (["--loss", "l1+l1"], "--loss is l1+l1"),
        (["--loss", "ssim", "--input-size", "44"], "the output window of 4 px is too small"),
        (["--geometry", "fit"], "--geometry needs an output that can be resized"),
        (["--answer", "labels"], "--answer needs a data set with this kind of ground truth"),
        (["--answer", "depth"], "unknown answer to train 'depth'; expected labels, values"),
        (["--outputs", "a,b"], "a name for each of"),
    ],
)
def test_options_that_do_not_fit_are_told_in_one_line(tmp_path: Path, options: list[str], told: str) -> None:
    done = seg_train(write(tmp_path / "data"), *TINY, "--steps", "1", "-o", tmp_path / "m.pt", *options)
    assert done.exit_code == 2, done.output
    assert told in done.stderr.splitlines()[-1]


def test_options_of_labels_get_a_note(tmp_path: Path) -> None:
    words = ["--classes", "a=0,b=1", "--class-weights", "root", "--dice-weight", "2", "--steps", "1"]
    done = ok(seg_train(write(tmp_path / "data"), *TINY, *words, "-o", tmp_path / "m.pt"))
    for option in ("--classes", "--class-weights", "--dice-weight"):
        assert f"note: this kind of output does not use it, so {option} is ignored" in done.stderr


def test_options_of_values_get_a_note_where_the_truth_is_labels(cells: Path, tmp_path: Path) -> None:
    done = ok(seg_train(cells, *SMALL, "--loss", "l1", "--outputs", "a", "--steps", "1", "-o", tmp_path / "m.pt"))
    for option in ("--loss", "--outputs"):
        assert f"note: this is not a regression, so {option} is ignored" in done.stderr


def test_foreign_weights_do_not_tell_what_their_values_stand_for(tmp_path: Path) -> None:
    torch.save(UNet(1, 2, 2, 2).state_dict(), tmp_path / "w.pt")
    words = ["--reader", "targets", "--input-size", "60", "--intensity", "scale"]
    done = seg_edge("import", tmp_path / "w.pt", write(tmp_path / "data"), *words, "-o", tmp_path / "m.pt")
    assert done.exit_code == 2
    assert "import needs labels as the ground truth" in done.stderr
